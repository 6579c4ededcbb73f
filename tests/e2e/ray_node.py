"""`ray start` as its users run it, but for the parts of a node that take no part in serving: they would double what the test costs."""

from ray.scripts.scripts import main

from serving.dataplane import ray_internals

if __name__ == "__main__":
    ray_internals.start_only_what_serves()
    main()
