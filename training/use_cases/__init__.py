"""The shop's models, one file each; training, serving, gates and monitoring loop over `USE_CASES`."""

from lakehouse.errors import ShopSphereError
from training.use_case import UseCase
from training.use_cases.clv import CLV
from training.use_cases.pricing import PRICING
from training.use_cases.propensity import PROPENSITY
from training.use_cases.recommender import RECOMMENDER
from training.use_cases.segmentation import SEGMENTATION

USE_CASES: tuple[UseCase, ...] = (CLV, PROPENSITY, RECOMMENDER, SEGMENTATION, PRICING)


class UnknownUseCaseError(ShopSphereError):
    """There is no use case of that name."""


def get(name: str) -> UseCase:
    """The use case of that name.

    Raises:
        UnknownUseCaseError: there is none; the message lists those there are.
    """
    for use_case in USE_CASES:
        if use_case.name == name:
            return use_case
    known = ", ".join(use_case.name for use_case in USE_CASES)
    raise UnknownUseCaseError(f"no use case {name!r}: choose one of {known}")
