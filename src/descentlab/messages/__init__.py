"""Everything a person reads: catalogs of messages, numbers, Korean particles, tables, HTML, figure style."""

from descentlab.messages.catalog import (
    LANGUAGES,
    PLURAL_NOUNS,
    Message,
    current_language,
    format_command,
    format_epochs,
    kept_language,
    load_catalog,
    message,
    pluralize,
    to_json_types,
    use_language,
)
from descentlab.messages.korean import resolve_particles
from descentlab.messages.numbers import format_bound, format_distinct, format_given, format_number, format_rounded
from descentlab.messages.terminal import LINE_WIDTH, Table, display_width, pad, wrap

__all__ = [
    "LANGUAGES",
    "LINE_WIDTH",
    "PLURAL_NOUNS",
    "Message",
    "Table",
    "current_language",
    "display_width",
    "format_bound",
    "format_command",
    "format_distinct",
    "format_epochs",
    "format_given",
    "format_number",
    "format_rounded",
    "kept_language",
    "load_catalog",
    "message",
    "pad",
    "pluralize",
    "resolve_particles",
    "to_json_types",
    "use_language",
    "wrap",
]
