"""Settings that are typed, KEY=VALUE, in the place of a document."""

from collections.abc import Sequence

from daemon.errors import BadInputError
from daemon.settings import yamlfile


def settings_document(settings: Sequence[str]) -> yamlfile.Document:
    """KEY=VALUE pairs as if they stood in a YAML file; raises BadInputError."""
    document = yamlfile.Document("--set")
    for number, setting in enumerate(settings, start=1):
        key, equals, value = setting.partition("=")
        if not equals:
            raise BadInputError(f"--set {setting}: write KEY=VALUE, such as --set size=1024")
        document.lines[(key,)] = number
        try:
            document.data[key] = yamlfile.parse_value(value, (key,), document)
        except yamlfile.VALUE_ERRORS as error:
            raise BadInputError(f"--set {setting}: the value is not YAML") from error
        if document.faults:
            raise BadInputError(f"--set {setting}: {document.faults[0].message}")
    return document
