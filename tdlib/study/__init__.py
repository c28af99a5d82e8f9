"""The study: which arms, on which data, which contrasts, and what comes out."""
