"""The lessons as a served site: each in each language, and answers kept in the same file as the terminal's."""

from __future__ import annotations

from collections.abc import Mapping

from descentlab.lessons import progress
from descentlab.lessons.course import lesson, lessons, outline
from descentlab.lessons.render.page import SHELL, address, page
from descentlab.messages import LANGUAGES, Sentence, sentence


class Course:
    """The pages of the course.

    Attributes:
        first: the number of the lesson that opens it.
        lang: the language that it opens in.
    """

    def __init__(self, first: int, lang: str) -> None:
        """Render the first lesson.

        Raises:
            SettingError: there is no such lesson.
            MissingDependencyError: what makes pages of lessons is not installed.
        """
        self.addresses = {address(number, lang): (number, lang) for number in lessons() for lang in LANGUAGES}
        self.addresses[""] = (first, lang)
        page(lesson(first, lang))

    def page(self, path: str) -> tuple[str, str] | None:
        """A lesson, by its address."""
        if path not in self.addresses:
            return None
        return page(lesson(*self.addresses[path]), progress.done()), SHELL.policy(served=True)

    def take(self, path: str, query: Mapping[str, list[str]]) -> Sentence | bool:
        """An answer that was right: ``answered?lesson=SLUG&question=NAME``."""
        slug, name = (query.get(key, [""])[0] for key in ("lesson", "question"))
        place = next((number for number, each in lessons().items() if each == slug), None)
        if path != "answered" or place is None or name not in outline(place, LANGUAGES[0])[1]:
            return False
        try:
            progress.keep(slug, name)
        except OSError as cause:
            return sentence("error.unwritable", path=str(progress.place()), cause=cause.strerror or str(cause))
        return True
