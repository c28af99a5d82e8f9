"""The model families of the study, one file each: equation, class, options, arms."""
