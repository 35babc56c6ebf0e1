"""Time and memory of a model: encoding by length, search by width."""
