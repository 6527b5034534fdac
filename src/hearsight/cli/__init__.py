"""Commands, one module each; they parse arguments, call the library and print results."""
