"""What readers see: the staged book, the edition, the explorer's files."""
