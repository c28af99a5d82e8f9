"""What models are tested on."""
