"""What a package says to people, in four languages: its report and how to verify it.

Each text stands here four times, side by side, so that a change of one is seen in all.
No text has a place inside it for an id, a position or a time: such values stand in
cells of their own, because inside an Arabic sentence they would be read out of order.

Source: docs/glossary.tsv for the words of the field.
"""

from collections.abc import Mapping
from enum import StrEnum


class Language(StrEnum):
    """In the order of a report."""

    ARABIC = "ar"
    SPANISH = "es"
    FRENCH = "fr"
    ENGLISH = "en"

    @property
    def is_right_to_left(self) -> bool:
        """Whether lines begin at the right."""
        return self is Language.ARABIC


TEXTS: Mapping[str, tuple[str, str, str, str]] = {
    "title": (
        "تقرير حزمة الأدلة",
        "Informe del paquete de pruebas",
        "Rapport du dossier de preuves",
        "Report on an evidence package",
    ),
    "simulated": (
        "محاكاة: هذه الصور مصنوعة وليست مرئية",
        "SIMULADO: estas imágenes son creadas, no vistas",
        "SIMULÉ : ces images sont fabriquées, non vues",
        "SIMULATED: these pictures are made, not seen",
    ),
    "request": ("الطلب", "Solicitud", "Demande", "Request"),
    "centre": ("المركز", "Centro", "Centre", "Centre"),
    "subject": (
        "القضية أو الإنذار",
        "Caso o alarma",
        "Affaire ou alarme",
        "Case or alarm",
    ),
    "recipient": ("المستلم", "Destinatario", "Destinataire", "Recipient"),
    "legal_basis": ("الأساس القانوني", "Base jurídica", "Base légale", "Legal basis"),
    "reason": ("السبب", "Motivo", "Motif", "Reason"),
    "requested_by": ("طلبه", "Solicitado por", "Demandé par", "Requested by"),
    "approved_by": ("وافق عليه", "Aprobado por", "Approuvé par", "Approved by"),
    "approved_at": ("وقت الموافقة", "Aprobado el", "Approuvé le", "Approved at"),
    "digest": (
        "بصمة الطلب (SHA-256)",
        "Huella de la solicitud (SHA-256)",
        "Empreinte de la demande (SHA-256)",
        "Hash of the request (SHA-256)",
    ),
    "made_at": ("أُنشئت الحزمة", "Creado el", "Créé le", "Made at"),
    "start": ("من", "Desde", "De", "From"),
    "end": ("إلى", "Hasta", "À", "To"),
    "cameras": ("الكاميرات", "Cámaras", "Caméras", "Cameras"),
    "station": ("المحطة", "Estación", "Station", "Station"),
    "camera": ("الكاميرا", "Cámara", "Caméra", "Camera"),
    "position": (
        "الموقع (خط العرض، خط الطول)",
        "Posición (latitud, longitud)",
        "Position (latitude, longitude)",
        "Position (latitude, longitude)",
    ),
    "azimuth": (
        "السمت الحقيقي والخطأ المعياري",
        "Acimut verdadero y error típico",
        "Azimut vrai et écart-type",
        "True azimuth and standard error",
    ),
    "height": (
        "الارتفاع فوق البحر والخطأ المعياري",
        "Altura sobre el mar y error típico",
        "Hauteur au-dessus de la mer et écart-type",
        "Height above the sea and standard error",
    ),
    "clock": (
        "مصدر الوقت",
        "Origen de la hora",
        "Origine de l'heure",
        "How the time is known",
    ),
    "clips": ("المقاطع", "Clips", "Extraits", "Clips"),
    "file": ("الملف", "Archivo", "Fichier", "File"),
    "sha256": ("بصمة SHA-256", "Huella SHA-256", "Empreinte SHA-256", "SHA-256"),
    "gaps": (
        "الانقطاعات: لم يُسجَّل شيء",
        "Interrupciones: no se grabó nada",
        "Interruptions : rien n'est enregistré",
        "Gaps: nothing was recorded",
    ),
    "no_gaps": (
        "لا انقطاعات معروفة",
        "Ninguna interrupción conocida",
        "Aucune interruption connue",
        "No gap is known",
    ),
    "cause": ("سبب الانقطاع", "Causa", "Cause", "Cause"),
    "proofs": ("الإثباتات", "Pruebas de integridad", "Preuves d'intégrité", "Proofs"),
    "proved": (
        "أجزاء لها إثبات من سجل الأدلة",
        "Segmentos con prueba del registro",
        "Segments avec preuve du journal",
        "Segments with a proof of the log",
    ),
    "unproved": (
        "أجزاء بلا إثبات بعد",
        "Segmentos aún sin prueba",
        "Segments encore sans preuve",
        "Segments without a proof yet",
    ),
    "certificate": (
        "بصمة شهادة المركز",
        "Huella del certificado del centro",
        "Empreinte du certificat du centre",
        "Hash of the centre's certificate",
    ),
    "verify": (
        "كيفية التحقق",
        "Cómo verificarlo",
        "Comment vérifier",
        "How to verify",
    ),
    "verify_how": (
        (
            "يفحص برنامج التحقق المرفق كل ملف وكل جزء مسجَّل دون شبكة. يلزمه ملف "
            "الثقة، ويسلّمه المركز بطريق آخر، لا داخل هذه الحزمة."
        ),
        (
            "El programa adjunto comprueba, sin red, cada archivo y cada fragmento "
            "grabado. Necesita el archivo de confianza, que el centro entrega por otra "
            "vía, nunca dentro del paquete."
        ),
        (
            "Le programme joint contrôle, sans réseau, chaque fichier et chaque "
            "fragment enregistré. Il lui faut le fichier de confiance, que le centre "
            "remet par une autre voie, jamais dans le dossier."
        ),
        (
            "The enclosed program compares every file and every recorded fragment, "
            "without a network. It needs the trust file, which the centre hands over "
            "by another way, never inside the package."
        ),
    ),
    "words": (
        "الكلمة ورمز الخروج",
        "Palabra y código de salida",
        "Mot et code de sortie",
        "Word and exit status",
    ),
    "authentic": (
        "كل شيء كما سُجِّل، ويشهد بذلك طرف خارج المركز",
        "Todo es como se grabó, y alguien ajeno al centro lo atestigua",
        "Tout est tel qu'enregistré, et un tiers l'atteste",
        "All is as it was recorded, and somebody outside the centre vouches for it",
    ),
    "altered": (
        "شيء ما تغيّر؛ يُذكر مكانه ووقته",
        "Algo se ha cambiado; se nombran el lugar y la hora",
        "Quelque chose a changé ; le lieu et l'heure sont nommés",
        "Something was changed; its place and time are named",
    ),
    "authentic-with-gaps": (
        "أصيل، لكن ينقص تسجيل داخل الفترة",
        "Auténtico, pero falta grabación dentro del intervalo",
        "Authentique, mais il manque des images dans l'intervalle",
        "Authentic, but footage is missing inside the span",
    ),
    "unknown-key": (
        "كل شيء متسق، لكن مفتاحًا ليس في ملف الثقة",
        "Todo encaja, pero una clave no está en el archivo de confianza",
        "Tout concorde, mais une clé n'est pas dans le fichier de confiance",
        "Everything fits together, but a key is not in the trust file",
    ),
    "not-anchored": (
        "سليم، لكن لا يشهد به إلا المركز نفسه",
        "Correcto, pero solo lo atestigua el propio centro",
        "Correct, mais seul le centre lui-même l'atteste",
        "Good, but vouched for only by the exporting centre",
    ),
    "could-not-run": (
        "تعذّر التحقق",
        "No se pudo comprobar",
        "La vérification n'a pas pu se faire",
        "The verification could not run",
    ),
    "not_promised": (
        (
            "ما لا تثبته هذه الحزمة: معنى الصور، وقبولها أمام المحكمة، ودقة ساعة "
            "المركز فوق ما هو مذكور هنا."
        ),
        (
            "Lo que este paquete no prueba: qué significan las imágenes, su admisión "
            "por un tribunal, ni una hora más exacta que la que aquí se dice."
        ),
        (
            "Ce que ce dossier ne prouve pas : le sens des images, leur recevabilité "
            "devant un tribunal, ni une heure plus exacte que ce qui est dit ici."
        ),
        (
            "What this package does not prove: what the pictures mean, that a court "
            "admits them, or a time more exact than is said here."
        ),
    ),
}
"""Key to text, in the order of :class:`Language`."""

EXITS = (
    ("authentic", 0),
    ("altered", 1),
    ("could-not-run", 2),
    ("authentic-with-gaps", 3),
    ("unknown-key", 4),
    ("not-anchored", 5),
)
COMMAND = "python3 -I -S verify.py . --trust FILE"


def text(key: str, language: Language) -> str:
    """One text.

    >>> text("camera", Language.SPANISH)
    'Cámara'
    """
    return TEXTS[key][list(Language).index(language)]


def how_to_verify() -> bytes:
    """``VERIFY.txt``: the same in four languages; commands on lines of their own."""
    return "\n".join(map(_section, Language)).encode("utf-8")


def _section(language: Language) -> str:
    exits = "\n".join(
        f"    {code}  {word}\n        {text(word, language)}" for word, code in EXITS
    )
    return (
        f"{text('verify', language)}\n\n{text('verify_how', language)}\n\n"
        f"    {COMMAND}\n\n{text('words', language)}\n\n{exits}\n"
    )
