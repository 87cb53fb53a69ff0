"""Adds the npm packages that are embedded in the program to the image's SBOM, which has Debian's packages only.

    tools/image/embedded.py SBOM PACKAGE-LOCK
"""

import base64
import json
import sys


def package(path, locked):
    name = path.rpartition("node_modules/")[2]
    algorithm, _, digest = locked["integrity"].partition("-")
    return {
        "SPDXID": "SPDXRef-npm-" + name.replace("@", "").replace("/", "-"),
        "name": name,
        "versionInfo": locked["version"],
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": locked["license"],
        "licenseDeclared": locked["license"],
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "LIBRARY",
        "checksums": [{"algorithm": algorithm.upper(), "checksumValue": base64.b64decode(digest).hex()}],
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                          "referenceLocator": f"pkg:npm/{name.replace('@', '%40')}@{locked['version']}"}],
    }


def main(sbom_path, lock_path):
    with open(sbom_path) as file:
        document = json.load(file)
    with open(lock_path) as file:
        locked = json.load(file)["packages"]
    [program] = [each["SPDXID"] for each in document["packages"] if each["name"] == "backlog"]
    for path, found in locked.items():
        if path == "":  # the dashboard itself
            continue
        added = package(path, found)
        document["packages"].append(added)
        document["relationships"].append({"spdxElementId": program, "relationshipType": "CONTAINS",
                                          "relatedSpdxElement": added["SPDXID"]})
    with open(sbom_path, "w") as file:
        json.dump(document, file, indent=1)


main(*sys.argv[1:])
