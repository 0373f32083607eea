"""Routes of brand kits: listed, shown, put."""

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from api import responses
from api.http import json_body, not_found
from entry.clients import store
from thumbnails.brands.kit import KIT_BYTES
from thumbnails.brands.kits import find_kit, kit_name, list_kits, put_kit
from thumbnails.errors import quoted

router = APIGatewayRouter()  # type: ignore[no-untyped-call]


@router.get("/brands", summary="The brand kits", tags=["brands"])
def get_brands() -> responses.Brands:
    """Every kit, by name."""
    return responses.Brands(
        brands=[
            responses.ListedBrand(name=kit_name(one.key), bytes=one.size, modified_at=one.modified)
            for one in list_kits(store())
        ]
    )


@router.get("/brands/<name>", summary="A brand kit's document, with its fonts and logo", tags=["brands"])
def get_brand(name: str) -> Response[str]:
    """A kit as PUT takes it; 304 to whoever has it as it stands."""
    kit = find_kit(store(), name)
    if kit is None:
        raise not_found(f"there is no brand kit {quoted(name)}")
    headers = {"ETag": f'"{kit.digest[:32]}"'}
    if router.current_event.headers.get("if-none-match") == headers["ETag"]:
        return Response(304, None, "", headers)
    return Response(200, content_types.APPLICATION_JSON, kit.canonical.decode(), headers)


@router.put("/brands/<name>", summary="Check a brand kit and keep it", tags=["brands"])
def put_brand(name: str) -> responses.Brand:
    """Keep a kit in place of what has its name; the bucket keeps the one before as an older version."""
    put = put_kit(store(), name, json_body(router.current_event, KIT_BYTES))
    return responses.Brand(name=put.name, version=put.version, **put.kit.summary())
