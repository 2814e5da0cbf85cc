"""Where the project lives, for a package index: absolute links in the README, and the project's URLs.

No address stands in the sources. A workflow knows it, in GITHUB_SERVER_URL and GITHUB_REPOSITORY; where these are not
set, the README's links stay relative. Hatchling calls this file when it builds.
"""

import os
import re
from pathlib import Path


def home(environment):
    """The address in these variables, or None."""
    server, repository = (environment.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY"))
    return f"{server}/{repository}" if server and repository else None


def readme(text, address, version):
    """The README with absolute links to the files of a version, images to their bytes."""
    if address is None:
        return text
    image = re.compile(r"(!\[[^\]]*\]\()(?!https?:)")
    text = image.sub(rf"\g<1>{address}/raw/v{version}/", text)
    return re.sub(r"(?<!!)(\[[^\]]*\]\()(?!https?:)", rf"\g<1>{address}/blob/v{version}/", text)


def urls(address):
    """The project's URLs by name."""
    parts = {"Homepage": "", "Documentation": "/tree/main/docs", "Changelog": "/blob/main/CHANGELOG.md"}
    return {} if address is None else {name: address + part for name, part in {**parts, "Issues": "/issues"}.items()}


def get_metadata_hook():
    """What hatchling asks for; it is imported here, because tests have no hatchling."""
    from hatchling.metadata.plugin.interface import MetadataHookInterface

    class Address(MetadataHookInterface):
        """README and URLs."""

        def update(self, metadata):
            """Add both to the metadata."""
            found = home(os.environ)
            text = readme(Path(self.root, "README.md").read_text("utf-8"), found, metadata["version"])
            metadata |= {"readme": {"content-type": "text/markdown", "text": text}, "urls": urls(found)}

    return Address
