"""The lessons as a served site: each in each language, and answers kept in the same file as the terminal's."""

from __future__ import annotations

from collections.abc import Mapping

from descentlab.lessons import progress
from descentlab.lessons.course import lesson_slugs, load_lesson, outline
from descentlab.lessons.render.page import LESSON_PAGE, lesson_address, render_lesson_page
from descentlab.messages import LANGUAGES, Message, message


class LessonSite:
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
        self.addresses = {
            lesson_address(number, lang): (number, lang) for number in lesson_slugs() for lang in LANGUAGES
        }
        self.addresses[""] = (first, lang)
        render_lesson_page(load_lesson(first, lang))

    def page(self, path: str) -> tuple[str, str] | None:
        """A lesson, by its address."""
        if path not in self.addresses:
            return None
        return render_lesson_page(load_lesson(*self.addresses[path]), progress.load_answered()), LESSON_PAGE.policy(
            served=True
        )

    def post(self, path: str, query: Mapping[str, list[str]]) -> Message | bool:
        """An answer that was right: ``answered?lesson=SLUG&question=NAME``."""
        slug, name = (query.get(key, [""])[0] for key in ("lesson", "question"))
        lesson_number = next((number for number, each in lesson_slugs().items() if each == slug), None)
        if path != "answered" or lesson_number is None or name not in outline(lesson_number, LANGUAGES[0])[1]:
            return False
        try:
            progress.mark_answered(slug, name)
        except OSError as cause:
            return message("error.unwritable", path=str(progress.progress_path()), cause=cause.strerror or str(cause))
        return True
