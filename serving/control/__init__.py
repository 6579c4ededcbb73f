"""Use cases of operators and of the controller: changing what is deployed, and keeping it true."""
