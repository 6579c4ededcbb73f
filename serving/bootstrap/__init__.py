"""Where everything is put together: what each process of an installation is, and how one is started, on this machine or on a cluster."""
