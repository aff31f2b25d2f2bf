"""The words and signs by which cells and lines of CSV files are recognized, in the languages of common spreadsheets."""

from __future__ import annotations


def _split(text: str) -> tuple[str, ...]:
    """The words between bars."""
    return tuple(word.strip() for word in text.split("|"))


# pyarrow's texts for a missing value, listed here to recognize them with spaces around them too.
MISSING_CELLS = (
    "",
    *_split("#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|N/A|NA|NULL|NaN|n/a|nan|null"),
)
# Cells that often mean a missing value, in lower case. They are not read as one unless the person says so.
MISSING_MARKS = frozenset(
    _split(
        "-|--|---|?|.|..|...|:|*|**|***|****|x|n.a.|n.a|na|n/a.|n.d.|nd|k.a.|k. a.|s.d.|mm|none|nil|missing|unknown"
        "|not available|no data"
        "|#value!|#ref!|#div/0!|#null!|#name?|#num!|(null)|<na>|\\n|∅"
        "|keine angabe|unbekannt|inconnu|없음|결측|미상|해당없음"
    )
)
# Pairs of words for 1 and 0, in lower case.
FLAG_WORDS = tuple(
    _split(pair)
    for pair in (
        *("yes|no", "y|n", "true|false", "t|f", "on|off", "ja|nein", "j|n", "ja|nee", "ja|nej", "wahr|falsch"),
        *("oui|non", "o|n", "vrai|faux", "sí|no", "si|no", "sì|no", "s|n", "sim|não", "да|нет", "はい|いいえ", "是|否"),
        *("예|아니오", "예|아니요", "네|아니오", "네|아니요", "참|거짓", "o|x", "유|무"),
    )
)
# The first cell of a row that sums up those above it, in lower case.
TOTAL_WORDS = frozenset(
    _split(
        "total|totals|grand total|sub total|subtotal|sum|sums|average|avg|mean|overall"
        "|summe|gesamt|gesamtsumme|insgesamt|durchschnitt|mittelwert|ø|σ|somme|ensemble|moyenne|total général"
        "|suma|promedio|media|total general|totale|somma|soma|totaal|итого|всего"
        "|합계|합 계|총계|소계|계|총합|누계|전체|평균|合計|総計|计|合计|总计"
    )
)
# Units, in lower case; a row of units below the names has at least one of these, or a unit in brackets.
KNOWN_UNITS = frozenset(
    _split(
        "m|cm|mm|km|nm|µm|μm|um|ft|in|mi|yd|nmi|m2|m²|m^2|km2|km²|ft2|ft²|sqft|sqm|㎡|ha|m3|m³|l|ml|gal"
        "|s|sec|ms|µs|us|min|h|hr|hrs|hour|hours|day|days|yr|year|years|kg|g|mg|t|lb|lbs|oz"
        "|°c|°f|c|f|k|degc|degf|degt|deg|rad|℃|℉|%|‰|ppm|ppb|m/s|km/h|kmh|mph|kn|kts|n|pa|hpa|kpa|mpa|bar|mbar|psi"
        "|v|mv|kv|a|ma|w|kw|mw|kwh|wh|mwh|j|kj|cal|kcal|hz|khz|mhz|ghz|mol|db"
        "|usd|eur|gbp|krw|jpy|$|€|£|¥|₩|원|천원|만원|명|개|세|년|건|대|회|점|units|count|number|index|anzahl|percent|prozent|euro|won"
    )
)
# What stands before or after an amount of money.
CURRENCY_SIGNS = _split(
    "$|€|£|¥|₩|￦|₹|US$|R$|A$|C$|HK$|NT$|₽|₺|USD|EUR|GBP|JPY|KRW|CHF|BRL|PLN|Fr.|kr|kr.|zł|Kč|원|円"
)
