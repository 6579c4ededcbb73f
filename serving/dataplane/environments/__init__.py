"""The environments that locked Python components run in: what each is made of, how it is built, where it is kept."""
