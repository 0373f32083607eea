"""Where provider keys come from: the environment on a laptop, Secrets Manager in an account."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError, TransformParameterError

from thumbnails.errors import ProviderMisconfigured

#: How long a key is kept; one that its provider rejects is read anew at once.
CACHE_SECONDS = 300
#: What an HTTP header can carry; a library that is given anything else shows it in its complaint.
KEY = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class ProviderKeys:
    """The providers' keys by name (``OPENAI_API_KEY``, ``GEMINI_API_KEY``).

    Attributes:
        given: those that the environment holds, by its variables' names.
        secret: the secret whose JSON object holds the others under the same names; empty for none.
    """

    given: Mapping[str, str]
    secret: str = ""

    def get(self, name: str) -> str | None:
        """A provider's key without the white space around it, None where there is none.

        Raises:
            ProviderMisconfigured: the secret cannot be read or is not a JSON object, or what it holds cannot be a key.
        """
        if key := self.given.get(name):
            return _checked(key, f"the environment variable {name}")
        return self._of_secret(name)

    def renewed(self, name: str) -> str | None:
        """A provider's key as the secret has it now, for when the one of before is rejected; None where there is none.

        Raises:
            ProviderMisconfigured: as ``get``.
        """
        return None if self.given.get(name) else self._of_secret(name, anew=True)

    def _of_secret(self, name: str, *, anew: bool = False) -> str | None:
        if not self.secret:
            return None
        return _checked(_keys(self.secret, anew).get(name), f"the field {name} of the secret {self.secret}")


def _keys(secret: str, anew: bool) -> dict[str, object]:
    problem = f"the secret {secret} cannot be read as a JSON object of keys"
    try:
        keys = parameters.get_secret(secret, transform="json", max_age=CACHE_SECONDS, force_fetch=anew)
    except GetParameterError as error:
        raise ProviderMisconfigured(problem) from error
    except TransformParameterError:
        # The JSON error that caused it carries the whole secret.
        raise ProviderMisconfigured(problem) from None
    if not isinstance(keys, dict):
        raise ProviderMisconfigured(problem)
    return keys


def _checked(value: object, place: str) -> str | None:
    key = value.strip() if isinstance(value, str) else value
    if key is None or key == "":
        return None
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise ProviderMisconfigured(
            f"{place} is not a valid key: a key is a single word of letters, digits and punctuation"
        )
    return key
