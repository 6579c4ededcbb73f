"""Running locked Python components in a process of their own, on their environment's interpreter."""
