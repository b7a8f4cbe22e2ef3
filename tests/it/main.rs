//! Integration tests: the program from outside.
