"""What every config shares: frozen, no unknown keys, strict integers, lax floats."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StrictBool,
    model_serializer,
)


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


Bool = StrictBool
Int = Annotated[int, Field(strict=True)]
PositiveInt = Annotated[int, Field(strict=True, gt=0)]
NonNegativeInt = Annotated[int, Field(strict=True, ge=0)]
# Lax, since YAML reads 1e-4 as text; never infinite.
Float = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_no_bool)]
PositiveFloat = Annotated[float, Field(allow_inf_nan=False, gt=0), BeforeValidator(_no_bool)]
NonNegativeFloat = Annotated[float, Field(allow_inf_nan=False, ge=0), BeforeValidator(_no_bool)]
Fraction = Annotated[float, Field(allow_inf_nan=False, ge=0, le=1), BeforeValidator(_no_bool)]
Decay = Annotated[float, Field(allow_inf_nan=False, ge=0, lt=1), BeforeValidator(_no_bool)]


class Config(BaseModel):
    """Base of all configs."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    def replace(self, **changes: Any) -> Self:
        """A copy with `changes`, validated again. Raises: ConfigError."""
        from zoo.config.problems import validate

        return validate(type(self), {**self.to_dict(), **changes})

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, every default written out."""
        return self.model_dump(mode="json", by_alias=True)

    @model_serializer(mode="wrap")
    def _without_absent_parts(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # upstream: a key that is present with the value null crashes its factories.
        fields = type(self).model_fields
        return {
            key: value
            for key, value in handler(self).items()
            if value is not None or (key in fields and fields[key].default is not None)
        }
