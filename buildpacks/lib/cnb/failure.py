"""How a buildpack stops: with words for the person who pushed."""


class BuildFailure(Exception):
    """The app cannot be built as it is. The first line says what and which, the others why and what to do next."""

    def __init__(self, what, *more):
        super().__init__(what)
        self.lines = (what, *more)


class NotDetected(Exception):
    """This buildpack has nothing to do for the app; the reason is printed."""
