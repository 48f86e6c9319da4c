"""Refusal: a request that is answered with an error, in the one shape that the page reads."""


class Refusal(Exception):  # noqa: N818 (named for what it is to the client)
    """A request that is answered with ``{"error": message, "request_id": …}``.

    Parameters
    ----------
    status : int
        HTTP status code.
    message : str
        Names what is wrong, its value and the remedy.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
