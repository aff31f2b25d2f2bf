"""Everything a person reads: one catalog per language, numbers, tables, HTML pieces."""

from descentlab.messages.catalog import (
    LANGUAGES,
    PLURAL_NOUNS,
    Message,
    current_language,
    display_width,
    format_distinct,
    format_number,
    format_rounded,
    load_catalog,
    message,
    pad,
    pluralize,
    resolve_particles,
    to_json_types,
    use_language,
    wrap,
)

__all__ = [
    "LANGUAGES",
    "PLURAL_NOUNS",
    "Message",
    "current_language",
    "display_width",
    "format_distinct",
    "format_number",
    "format_rounded",
    "load_catalog",
    "message",
    "pad",
    "pluralize",
    "resolve_particles",
    "to_json_types",
    "use_language",
    "wrap",
]
