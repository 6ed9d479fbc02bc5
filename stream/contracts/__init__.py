"""What apps and readers in any language may rely on, made from the record types: JSON Schemas and AsyncAPI.

:func:`documents` makes the files of ``docs/contracts``, and :func:`breaks` says what of a change would break those
who read or write by the last release.
"""

from stream.contracts.compatibility import breaks
from stream.contracts.documents import documents, schema_of

__all__ = ["breaks", "documents", "schema_of"]
