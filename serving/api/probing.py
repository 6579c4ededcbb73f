"""The public listener as any caller sees it: one request, on a connection of its own, over real HTTP."""

from collections.abc import Mapping

import httpx

from serving.ports import PublicAnswer


class PublicListener:
    """The `PublicSide` at one URL."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def predict(self, family: str, request: Mapping[str, object], seconds: float, selector: str = "") -> PublicAnswer:
        """Ask for a prediction; what keeps it from being answered is an answer too."""
        try:
            # A connection of its own, and no proxy of the environment's: this is a listener of ours.
            async with httpx.AsyncClient(trust_env=False, timeout=seconds, verify=False) as client:  # noqa: S501 - plain HTTP; reading certificates takes 70 ms
                slot = f"/versions/{selector}" if selector else ""
                response = await client.post(f"{self._url}/v1/families/{family}{slot}/predict", json=request)
        except httpx.HTTPError as error:
            return PublicAnswer(trouble=str(error) or type(error).__name__)
        return _answer(response)


def _answer(response: httpx.Response) -> PublicAnswer:
    try:
        document = response.json()
    except ValueError:
        return PublicAnswer(response.status_code, trouble="the answer is not JSON")
    epoch = response.headers.get("x-route-epoch", "")
    return PublicAnswer(
        status=response.status_code,
        version=response.headers.get("x-model-version", ""),
        epoch=int(epoch) if epoch.isascii() and epoch.isdigit() else None,
        document=document,
        trouble=str(document.get("error", "")) if isinstance(document, dict) else "",
        reason=response.headers.get("x-route-reason", ""),
    )
