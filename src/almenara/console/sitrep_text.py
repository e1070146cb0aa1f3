"""A situation report as text in four languages, from the same keys and values.

Numbers, times and places are written alike in every language; in Arabic each is
isolated, so that a coordinate does not come out reversed. A key without a sentence is
printed as it is: a report never loses a fact.

Source: docs/design/rescue.md, "Situation report".
"""

from collections.abc import Iterable, Mapping

from almenara.console.sentences import Pgettext, speaker
from almenara.incidents.alarm import Reason
from almenara.rescue.sitrep import Part, Sitrep

ISOLATE, END_ISOLATE = "\u2066", "\u2069"
PRIME = "\u2032"


def sitrep_text(made: Sitrep, language: str) -> str:
    """The whole report, a line per letter."""
    pgettext = speaker(language)
    isolates = language == "ar"
    lines = [*_banner(made, pgettext), *_header(made, pgettext, isolates=isolates)]
    return "\n".join(lines) + "\n" + parts_text(made.parts, language)


def parts_text(parts: Iterable[Part], language: str) -> str:
    """The letters alone, a line each."""
    pgettext = speaker(language)
    sentences, names = _sentences(pgettext), _names(pgettext)
    lines = []
    for part in parts:
        said = _part(part, sentences, isolates=language == "ar")
        lines.append(f"{part.letter.value}. {names[part.letter.value]}: {said}\n")
    return "".join(lines)


def _banner(made: Sitrep, pgettext: Pgettext) -> list[str]:
    lines = []
    if made.exercise:
        lines.append(pgettext("sitrep", "EXERCISE EXERCISE EXERCISE"))
    if made.simulated:
        lines.append(pgettext("sitrep", "SIMULATED, not a real rescue"))
    return lines


def _header(made: Sitrep, pgettext: Pgettext, *, isolates: bool) -> list[str]:
    urgency = {
        "distress": pgettext("sitrep", "Distress"),
        "urgency": pgettext("sitrep", "Urgency"),
        "routine": pgettext("sitrep", "Routine"),
    }[made.urgency.value]
    head = [
        (
            pgettext("sitrep", "Situation report {number}, case {case}"),
            {"number": str(made.number), "case": made.case_id},
        ),
        (
            pgettext("sitrep", "Time: {at}. Priority: {priority}"),
            {"at": made.at.strftime("%Y-%m-%d %H:%M UTC"), "priority": urgency},
        ),
        (
            pgettext("sitrep", "From: {centre}. To: {to}"),
            {"centre": made.originator, "to": ", ".join(made.to) or "-"},
        ),
    ]
    if made.corrects is not None:
        text = pgettext("sitrep", "Corrects report {number}")
        head.append((text, {"number": str(made.corrects)}))
    return [_filled(text, values, isolates=isolates) for text, values in head]


def _part(part: Part, sentences: Mapping[str, str], *, isolates: bool) -> str:
    said = [_said(reason, sentences, isolates=isolates) for reason in part.said]
    if part.words is not None:
        said.append(f"«{part.words.text}» ({part.words.language})")
    return "; ".join(said)


def _said(reason: Reason, sentences: Mapping[str, str], *, isolates: bool) -> str:
    values = _shown(reason.values)
    text = sentences.get(reason.key)
    if text is None:
        rest = ", ".join(f"{key} {value}" for key, value in values.items())
        return f"{reason.key} ({rest})" if rest else reason.key
    if "finding" in values:
        values["finding"] = sentences[f"finding.{values['finding']}"]
    return _filled(text, values, isolates=isolates)


def _shown(values: Mapping[str, float | str]) -> dict[str, str]:
    shown = {
        key: value if isinstance(value, str) else f"{value:.12g}"
        for key, value in values.items()
    }
    if "latitude_deg" in values and "longitude_deg" in values:
        shown["place"] = position_text(
            float(values["latitude_deg"]), float(values["longitude_deg"])
        )
    return shown


def position_text(latitude_deg: float, longitude_deg: float) -> str:
    """Degrees and decimal minutes, as position reports are read over the radio."""
    return f"{_angle(latitude_deg, 2, 'NS')} {_angle(longitude_deg, 3, 'EW')}"


def _angle(degrees: float, width: int, letters: str) -> str:
    thousandths = round(abs(degrees) * 60_000.0)
    whole, rest = divmod(thousandths, 60_000)
    return f"{whole:0{width}d}°{rest / 1000.0:06.3f}{PRIME}{letters[degrees < 0]}"


def _filled(text: str, values: Mapping[str, str], *, isolates: bool) -> str:
    for key, value in values.items():
        shown = f"{ISOLATE}{value}{END_ISOLATE}" if isolates else value
        text = text.replace(f"{{{key}}}", shown)
    return text


def _names(pgettext: Pgettext) -> Mapping[str, str]:
    return {
        "A": pgettext("sitrep", "Identity of craft"),
        "B": pgettext("sitrep", "Position"),
        "C": pgettext("sitrep", "Situation"),
        "D": pgettext("sitrep", "Number of persons at risk"),
        "E": pgettext("sitrep", "Assistance required"),
        "F": pgettext("sitrep", "Coordinating centre"),
        "G": pgettext("sitrep", "Description of craft"),
        "H": pgettext("sitrep", "Weather on scene"),
        "J": pgettext("sitrep", "Initial actions taken"),
        "K": pgettext("sitrep", "Search area"),
        "L": pgettext("sitrep", "Coordinating instructions"),
        "M": pgettext("sitrep", "Future plans"),
        "N": pgettext("sitrep", "Additional information"),
    }


def _sentences(pgettext: Pgettext) -> Mapping[str, str]:
    unknown = pgettext("sitrep", "unknown")
    return {
        "sitrep.unknown": unknown,
        "sitrep.case": pgettext("sitrep", "case {case}"),
        "sitrep.mmsi": pgettext("sitrep", "MMSI {mmsi}"),
        "sitrep.position": pgettext("sitrep", "{place}"),
        "sitrep.position_error": pgettext("sitrep", "error {error_m} m (1 sigma)"),
        "sitrep.position_error_unknown": pgettext("sitrep", "error unknown"),
        "sitrep.position_at": pgettext("sitrep", "at {at}"),
        "persons.at_least": pgettext("sitrep", "at least {at_least}, no upper limit"),
        "persons.between": pgettext("sitrep", "from {at_least} to {at_most}"),
        "coordinator": pgettext("sitrep", "{centre} coordinates"),
        "coordinator.offered": pgettext("sitrep", "offered to {centre}, not accepted"),
        "weather.wind": pgettext("sitrep", "wind from {from_deg}°, {mps} m/s"),
        "area": pgettext("sitrep", "{km2} km² around {place} hold 95 %"),
        "drift_unknown.wind": pgettext("sitrep", "wind unknown, area widened"),
        "drift_unknown.current": pgettext("sitrep", "current unknown, area widened"),
        "drift_unknown.shore": pgettext("sitrep", "shore not considered"),
        **_phases(pgettext),
        **_craft(pgettext),
        **_factors(pgettext),
    }


def _phases(pgettext: Pgettext) -> Mapping[str, str]:
    return {
        "phase.none": pgettext("sitrep", "no emergency phase"),
        "phase.uncertainty": pgettext("sitrep", "uncertainty phase"),
        "phase.alert": pgettext("sitrep", "alert phase"),
        "phase.distress": pgettext("sitrep", "distress phase"),
        "finding.observed_adverse": pgettext("sitrep", "observed"),
        "finding.likely_adverse": pgettext("sitrep", "likely"),
        "factors.together": pgettext("sitrep", "several factors together"),
    }


def _craft(pgettext: Pgettext) -> Mapping[str, str]:
    return {
        "craft.open_boat": pgettext("sitrep", "open boat"),
        "craft.inflatable": pgettext("sitrep", "inflatable boat"),
        "craft.sailing": pgettext("sitrep", "sailing boat"),
        "craft.fishing": pgettext("sitrep", "fishing boat"),
        "craft.ship": pgettext("sitrep", "ship"),
        "craft.persons_in_water": pgettext("sitrep", "persons in the water"),
    }


def _factors(pgettext: Pgettext) -> dict[str, str]:
    names = {
        "request": pgettext("sitrep", "request for assistance"),
        "seaworthiness": pgettext("sitrep", "not seaworthy"),
        "load": pgettext("sitrep", "overloaded"),
        "supplies": pgettext("sitrep", "lack of fuel, water or food"),
        "crew": pgettext("sitrep", "no qualified crew"),
        "equipment": pgettext("sitrep", "lack of safety equipment"),
        "medical": pgettext("sitrep", "urgent medical need"),
        "deceased": pgettext("sitrep", "deceased persons"),
        "vulnerable": pgettext("sitrep", "pregnant women or children reported"),
        "weather": pgettext("sitrep", "adverse weather or sea"),
    }
    seen = pgettext("sitrep", "{factor} ({finding})")
    unknown = pgettext("sitrep", "not known: {factor}")
    found = {
        f"factor.{key}": seen.replace("{factor}", name) for key, name in names.items()
    }
    missing = {
        f"factor_unknown.{key}": unknown.replace("{factor}", name)
        for key, name in names.items()
    }
    return {**found, **missing}
