"""What may change between two versions of a family, and by how large a step: the decisions of the semver gate. Pure."""
