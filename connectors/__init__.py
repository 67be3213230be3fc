"""What touches the outside: one folder per technology, none of which knows another."""
