from registry_client.backends.modelpack import MEDIA_TYPES
from registry_client.manifest import Role


def test_a_file_of_every_role_has_a_media_type() -> None:
    assert MEDIA_TYPES.keys() == set(Role)
