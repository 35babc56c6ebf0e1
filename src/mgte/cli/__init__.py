"""Commands. Data goes to standard output, words to standard error."""
