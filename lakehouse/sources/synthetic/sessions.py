"""The rich shop's clickstream: visits of a block of customers, what they look at, put into the cart and buy."""

from dataclasses import dataclass

import numpy as np

from lakehouse.sources.synthetic import rows
from lakehouse.sources.synthetic.campaigns import Experiment
from lakehouse.sources.synthetic.catalogue import Catalogue
from lakehouse.sources.synthetic.knobs import SECONDS, Knobs
from lakehouse.sources.synthetic.people import REPERTOIRE, People, pick
from lakehouse.sources.synthetic.season import Season
from lakehouse.sources.synthetic.streams import Array, Table, draw, stream

BOUNCED = 0.19
MORE_VIEWS = 9.5
"""A visit that is no bounce has 1 + Poisson(9.5) views."""
HABIT = 0.45
"""The share of views that are of the customer's repertoire."""
CART, CART_MOST = 0.15, 0.95
CLICKED = 0.36
BETWEEN_VIEWS, BETWEEN_STEPS = 40, 5
"""Seconds."""


@dataclass(frozen=True)
class Visits:
    """Sessions of a block, by session: who came when, with what intent, and through which campaign (0 is none).

    `told` is the traffic source that is written down: paid exactly where a campaign is linked.
    """

    who: Array
    begin: Array
    views: Array
    bounced: Array
    exposure: Array
    intent: Array
    told: Array
    campaign_id: Array
    uplift: Array
    group: Array


def cart_chance(shock: Array, percent: Array, elasticity: Array, sensitivity: Array | float) -> Array:
    """The chance that a view becomes a cart, the only step that the price is in."""
    found: Array = CART * np.exp(shock) * (1 - percent / 100) ** (elasticity * sensitivity)
    return found.clip(max=CART_MOST)


def purchase_chance(intent: Array, spend: Array, uplift: Array | float) -> Array:
    """The chance that a cart becomes a purchase."""
    return np.minimum(rows.INTENT[intent] * spend * (1 + uplift), 1)


def visits(knobs: Knobs, year: Season, who: People, trial: Experiment, block: int) -> Visits:
    """A block's sessions, and one more for each exposure: the moment at which a campaign reaches a customer."""
    random = stream(knobs.seed, Table.SESSIONS, block)
    until = np.minimum(who.dropout_day, knobs.days)
    customer = np.repeat(np.arange(len(until)), random.poisson(who.visit_rate * year.mass(who.joined, until)))
    begin = year.moments(random, who.joined[customer], until[customer])
    bounced = random.random(len(customer)) < BOUNCED
    views = np.where(bounced, 1, 1 + random.poisson(MORE_VIEWS, len(customer)))
    reached = np.flatnonzero(trial.treated & (trial.exposed < np.minimum(who.dropout_day[trial.who], knobs.days)))
    everyone, pair = (
        np.concatenate(parts) for parts in ((customer, trial.who[reached]), (_live(trial, customer, begin), reached))
    )
    intent, told = _sources(random, pair >= 0)
    own = draw(random, rows.GROUP_SHARES, len(who.joined))[everyone]
    return Visits(
        who=everyone,
        begin=np.floor(np.concatenate([begin, trial.exposed[reached]]) * SECONDS).astype(np.int64),
        views=np.concatenate([views, np.ones(len(reached), np.int64)]),
        bounced=np.concatenate([bounced, np.zeros(len(reached), bool)]),
        exposure=np.arange(len(pair)) >= len(customer),
        intent=intent,
        told=told,
        campaign_id=np.append(trial.campaign + 1, 0)[pair],  # the last one is for -1: no pair
        uplift=np.append(trial.uplift, 0.0)[pair],
        group=np.where(pair >= 0, np.append(trial.group, 0)[pair], own),
    )


def _sources(random: np.random.Generator, linked: Array) -> tuple[Array, Array]:
    """What brings a visitor, and what is written down: a paid source exactly where a campaign is linked."""
    intent = draw(random, rows.SOURCE_SHARES, len(linked))
    paid = 1 + draw(random, rows.SOURCE_SHARES[1:4], len(linked))
    unpaid = 4 * draw(random, rows.SOURCE_SHARES[[0, 4]], len(linked))
    return intent, np.where(rows.PAID[intent] == linked, intent, np.where(linked, paid, unpaid))


def _live(trial: Experiment, customer: Array, begin: Array) -> Array:
    """For each session the treated pair whose effect lasts at that moment, else -1."""
    treated = np.flatnonzero(trial.treated)
    order = treated[np.lexsort((trial.exposed[treated], trial.who[treated]))]
    if not len(order):
        return np.full(len(customer), -1)
    apart = 1e6
    starts = trial.who[order] * apart + trial.exposed[order]
    place = np.searchsorted(starts, customer * apart + begin, side="right") - 1
    pair = order[place.clip(0)]
    live = (place >= 0) & (trial.who[pair] == customer) & (begin < trial.until[pair])
    return np.where(live, pair, -1)


@dataclass(frozen=True)
class Views:
    """What was looked at, by view (a bounce is one too): in which session, when, by whom, which product."""

    session: Array
    second: Array
    customer: Array
    product: Array
    week: Array


def happened(
    random: np.random.Generator, knobs: Knobs, goods: Catalogue, who: People, came: Visits
) -> tuple[rows.Happened, Array]:
    """A block's events in order of time, and the discount in percent of each; sessions count from 0 on."""
    seen = _views(random, knobs, goods, who, came)
    kind, row = _funnel(random, goods, who, came, seen)
    moment = seen.second[row] + BETWEEN_STEPS * kind
    order = np.argsort(moment, kind="stable")
    row, kind, moment = row[order], kind[order], moment[order]
    session, product = seen.session[row], seen.product[row]
    found = rows.Happened(
        second=moment,
        customer_id=who.first + 1 + seen.customer[row],
        session_id=session,
        kind=kind,
        product=np.where(kind == rows.BOUNCE, -1, product),
        campaign_id=came.campaign_id[session],
        source=came.told[session],
        device=draw(random, rows.DEVICE_SHARES, len(came.who))[session],
        page=draw(random, rows.PAGE_SHARES, len(row)),
        duration=rows.durations(random, len(came.who))[session],
        group=came.group[session],
    )
    return found, goods.discount[product, seen.week[row]]


def _views(random: np.random.Generator, knobs: Knobs, goods: Catalogue, who: People, came: Visits) -> Views:
    """Nobody sees a product that is not launched yet, unless a campaign shows it, nor anything after the end."""
    session = np.repeat(np.arange(len(came.who)), came.views)
    nth = np.arange(len(session)) - np.repeat(np.cumsum(came.views) - came.views, came.views)
    second, customer = came.begin[session] + BETWEEN_VIEWS * nth, came.who[session]
    product = _looked_at(random, goods, who, customer)
    week = (second // (7 * SECONDS)).clip(max=goods.discount.shape[1] - 1)
    seen = ((goods.launch[product] <= 7 * week) | came.exposure[session]) & (
        second < rows.end_of(knobs) - BETWEEN_VIEWS
    )
    return Views(session[seen], second[seen], customer[seen], product[seen], week[seen])


def _funnel(
    random: np.random.Generator, goods: Catalogue, who: People, came: Visits, seen: Views
) -> tuple[Array, Array]:
    """The events of each view: their kinds, and the views' indices."""
    cell, bounced = (seen.product, seen.week), came.bounced[seen.session]
    sensitivity = who.price_sensitivity[seen.customer]
    chance = cart_chance(goods.shock[cell], goods.discount[cell], goods.elasticity[seen.product], sensitivity)
    carted = ~bounced & ~came.exposure[seen.session] & (random.random(len(bounced)) < chance)
    bought = np.flatnonzero(carted)
    session = seen.session[bought]
    sold = purchase_chance(came.intent[session], who.spend[came.who[session]], came.uplift[session])
    steps = {
        rows.VIEW: np.flatnonzero(~bounced),
        rows.BOUNCE: np.flatnonzero(bounced),
        rows.CLICK: np.flatnonzero(~bounced & (random.random(len(bounced)) < CLICKED)),
        rows.CART: bought,
        rows.PURCHASE: bought[random.random(len(bought)) < sold],
    }
    kind = np.repeat(np.array(list(steps), np.int64), [len(part) for part in steps.values()])
    return kind, np.concatenate(list(steps.values()))


def _looked_at(random: np.random.Generator, goods: Catalogue, who: People, customer: Array) -> Array:
    """The product of each view: of the repertoire, or by taste."""
    usual = who.repertoire[customer, random.integers(0, REPERTOIRE, len(customer))]
    tasted = pick(random, goods, np.cumsum(who.taste, axis=1), who.style, customer)
    return np.where(random.random(len(customer)) < HABIT, usual, tasted)
