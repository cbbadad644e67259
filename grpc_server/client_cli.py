"""The command `shopsphere predict`."""

from typing import Annotated, Any

import typer

OPTIONS = {
    "propensity": ("feature", "campaign_id"),
    "recommender": ("k", "include_repeats", "category", "exclude", "recent", "country"),
    "pricing": ("feature", "min_price", "max_price", "unit_cost"),
}
"""What may be given beside an id; of the other use cases features alone."""


def register(app: typer.Typer) -> None:
    """Add the command to the app."""

    @app.command()
    def predict(
        use_case: Annotated[str, typer.Argument(help="clv, propensity, segmentation, recommender or pricing.")],
        entity_id: Annotated[str, typer.Argument(help="The customer's id; for pricing the product's.")],
        campaign_id: Annotated[str, typer.Option(help="propensity: the campaign.")] = "",
        k: Annotated[int | None, typer.Option(help="recommender: how many products.")] = None,
        include_repeats: Annotated[
            bool | None, typer.Option("--repeats/--no-repeats", help="recommender: what was bought before, too.")
        ] = None,
        category: Annotated[list[str] | None, typer.Option(help="recommender: of this one; may be repeated.")] = None,
        exclude: Annotated[
            list[str] | None, typer.Option(help="recommender: not this product; may be repeated.")
        ] = None,
        recent: Annotated[
            list[str] | None, typer.Option(help="recommender: bought since the lake was built; may be repeated.")
        ] = None,
        country: Annotated[str, typer.Option(help="recommender: where a new customer lives.")] = "",
        min_price: Annotated[float | None, typer.Option(help="pricing: not below.")] = None,
        max_price: Annotated[float | None, typer.Option(help="pricing: not above.")] = None,
        unit_cost: Annotated[float | None, typer.Option(help="pricing: what a unit costs; the margin counts.")] = None,
        feature: Annotated[list[str] | None, typer.Option(help="An override, NAME=VALUE; may be repeated.")] = None,
        full: Annotated[bool, typer.Option("--full", help="With the explanation.")] = False,
        address: Annotated[
            str | None, typer.Option(help="Where the server answers; on this machine's GRPC_PORT if absent.")
        ] = None,
    ) -> None:
        """Ask a running server one question; prints its answer as JSON."""
        import json

        from grpc_server.client import Client
        from grpc_server.settings import ServerSettings
        from training.use_cases import get

        get(use_case)  # an unknown name is refused with those there are
        lists = {"category": category, "exclude": exclude, "recent": recent}
        given = {"campaign_id": campaign_id, "k": k, "include_repeats": include_repeats, **lists, "country": country}
        prices: dict[str, Any] = {"min_price": min_price, "max_price": max_price, "unit_cost": unit_cost}
        _check_options(use_case, {**given, **prices, "feature": feature})
        features = dict(_pair(text) for text in feature or [])
        with Client(address or f"127.0.0.1:{ServerSettings().grpc_port}") as client:
            calls: dict[str, Any] = {
                "clv": lambda: client.clv(entity_id, full=full, **features),
                "propensity": lambda: client.propensity(entity_id, campaign_id=campaign_id, full=full, **features),
                "segmentation": lambda: client.segment(entity_id, full=full, **features),
                "recommender": lambda: client.recommend(
                    entity_id,
                    k=k,
                    full=full,
                    include_repeats=include_repeats,
                    categories=category,
                    exclude_product_ids=exclude,
                    recent_product_ids=recent,
                    country=country,
                ),
                "pricing": lambda: client.price(entity_id, full=full, **prices, **features),
            }
            typer.echo(json.dumps(calls[use_case](), indent=2))


def _check_options(use_case: str, given: dict[str, Any]) -> None:
    taken = OPTIONS.get(use_case, ("feature",))
    for name, value in given.items():
        if value not in (None, "", []) and name not in taken:
            option = "--repeats" if name == "include_repeats" else f"--{name.replace('_', '-')}"
            raise typer.BadParameter(f"{use_case} does not take it", param_hint=option)


def _pair(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE with a number", param_hint="--feature") from None
