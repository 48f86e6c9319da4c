"""Responses: JSON built from the pydantic models that the OpenAPI document shows."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict
from starlette.responses import Response


class ResponseModel(BaseModel):
    """A JSON object that the service responds with; NaN and infinities are sent as null."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=(), ser_json_inf_nan="null")

    def response(self, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """Return this object as an HTTP response; fields that were never set are left out."""
        # To bytes: model_dump_json makes a string, which would be encoded once more.
        content = self.__pydantic_serializer__.to_json(self, exclude_unset=True)
        return Response(content, status, headers, media_type="application/json")
