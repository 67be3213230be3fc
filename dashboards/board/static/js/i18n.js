// Words in English and German. Data (titles, causes, actions) stay as the line description has them.
import { memory } from "./dom.js";

const EN = {
  line: "Line", alarms: "Alarms", chart: "Chart", products: "Products", ledger: "Ledger",
  simulated: "simulated", simulatedHint: "Every value on this board is made up by the line simulator.",
  live: "live", blind: "BLIND", connecting: "connecting…",
  blindSince: "BLIND since {time}", blindServer: "The server does not answer. Values below are old; do not rely on them.",
  blindEngine: "The engine does not work: {detail}. Values below are old; do not rely on them.",
  blindLag: "The engine is {lag} behind. Values below are old; do not rely on them.",
  perSecond: "{n} msg/s", lag: "lag {lag}",
  ok: "in control", measured: "measured", warn: "notice", alarm: "ALARM", stale: "stale", nodata: "no data",
  allQuiet: "No alarms", allQuietHint: "Nothing needs you right now.",
  filter: "Filter", filterHint: "Station, sensor or text", nothingFits: "Nothing fits the filter.",
  ago: "{span} ago", since: "since {span}", noValueYet: "no value yet", at: "at", metre: "m",
  quality_uncertain: "uncertain", quality_bad: "bad quality",
  needsYou: "Need somebody", history: "History", acknowledge: "Acknowledge", acknowledged: "Acknowledged",
  ackBy: "Acknowledged by {by}, {at}", details: "Details", openChart: "Open chart",
  UNACK: "active, not acknowledged", ACKED: "active, acknowledged", RTNUN: "gone, not acknowledged",
  LUNACK: "latched, not acknowledged", LACKED: "latched, acknowledged", SHLVD: "shelved",
  DSUPR: "suppressed by design", OOSRV: "out of service", NORM: "over",
  whatToDo: "What to do", cause: "Usual causes", consequence: "If nobody acts", rule: "Rule",
  firstSample: "First sample", onset: "Began", raised: "Raised", cleared: "Gone", value: "Value", limit: "Limit",
  product: "Product", count: "Occurred", times: "{n} times", affected: "Products affected", cost: "Cost so far", alarmClass: "Class",
  respondIn: "respond within {span}", respondLate: "response overdue by {span}",
  quality: "quality", safety: "safety", equipment: "equipment", system: "system",
  comment: "Comment", commentHint: "What you saw or do (optional)", cancel: "Cancel",
  loginToAck: "Log in to acknowledge", login: "Log in", logout: "Log out", user: "User", password: "Password",
  loginNeeded: "This board needs a login.", noRight: "{user} ({role}) may not do this. Log in as an operator.",
  wrongPassword: "User or password is wrong.", throttled: "Too many tries. {detail}", unreachable: "The server does not answer.",
  changed: "This alarm has changed meanwhile. The list is up to date now.", viewOnly: "This board only shows; it has no login.",
  unknownSensor: "The line has no such sensor (any more).",
  points: "Control chart", lastPoints: "last {n} points", h1: "1 h", h8: "8 h", h24: "24 h", d7: "7 d", all: "All",
  centre: "Centre", sigma: "Sigma", spec: "Specification", zones: "Sigma zones", ewma: "EWMA",
  baseline: "Baseline", ruleset: "Rule set", noChart: "No control limits are set for this sensor; its values are shown as they are.",
  findings: "Findings", noFindings: "No findings. The process is in control as far as the rules can see.", open: "open", closed: "closed",
  dragToZoom: "Drag to zoom, double click to reset.", mean: "mean", minmax: "min to max", bins: "{span} per point", rawPoints: "every sample",
  hoverPoint: "Point at a value to read it.", noHistory: "There is no history for this time.", previous: "Previous sensor", next: "Next sensor",
  kind: "Kind", station: "Station", disposition: "Disposition", from: "Made from", started: "Started", ended: "Left", here: "here now",
  gates: "Gates", measures: "Measured", children: "became {n}", noProducts: "No products yet.", length: "Length",
  OPEN: "in work", undecided: "undecided", more: "and {n} more", OK: "released", HOLD: "on hold", REWORK: "rework", SCRAP: "scrap",
  received: "received", stored: "stored", rejected: "rejected", pending: "pending",
  balanced: "It balances: nothing is lost.", unbalanced: "Does not balance: {n} samples are unaccounted for.",
  samples: "Samples", messages: "Messages", processed: "processed", duplicates: "Repeat deliveries", events: "Hash of all events",
  sources: "Sources", source: "Source", lastMessage: "Last message", skew: "Clock", state: "State", silent: "silent", lost: "lost",
  journal: "Journal", segments: "files", cursor: "Processed up to", lastSeq: "Last number",
  rejectedWhy: "Rejected, by reason", deadLetters: "Refused messages", noDeadLetters: "Nothing was refused.",
  howToMend: "How to mend it", discovery: "Unknown topics", noDiscovery: "Every topic is described.",
  proposal: "Proposed row for line.toml", copy: "Copy", copied: "Copied", reload: "Load line.toml again",
  reloaded: "Loaded. Version {version} is in force.", notChanged: "Nothing has changed since version {version}.", reason: "Reason", topic: "Topic", payload: "Payload",
  theme: "Light or dark", sound: "Sound on P1 alarms", language: "Deutsch", help: "Keyboard", close: "Close",
  keyPages: "Pages", keyFilter: "Filter", keyMove: "Next or previous alarm", keyAck: "Acknowledge the chosen alarm",
  keyOpen: "Details of the chosen alarm", keyHelp: "This help", version: "Version", unacked: "{n} not acknowledged", shelvedCount: "{n} shelved",
  throughput: "Throughput", perSecondSamples: "{n} samples/s", cpu: "CPU per sample", noRules: "No run rules watch this sensor.",
  failed: "That did not work: {detail}", loading: "Loading…", choose: "Sensor", show: "Show",
};

const DE = {
  line: "Linie", alarms: "Alarme", chart: "Karte", products: "Produkte", ledger: "Bilanz",
  simulated: "simuliert", simulatedHint: "Alle Werte auf dieser Tafel erzeugt der Liniensimulator.",
  live: "live", blind: "BLIND", connecting: "verbinde …",
  blindSince: "BLIND seit {time}", blindServer: "Der Server antwortet nicht. Die Werte unten sind alt; nicht darauf verlassen.",
  blindEngine: "Die Auswertung steht: {detail}. Die Werte unten sind alt; nicht darauf verlassen.",
  blindLag: "Die Auswertung ist {lag} im Rückstand. Die Werte unten sind alt; nicht darauf verlassen.",
  perSecond: "{n} Nachr./s", lag: "Rückstand {lag}",
  ok: "beherrscht", measured: "gemessen", warn: "Hinweis", alarm: "ALARM", stale: "veraltet", nodata: "keine Daten",
  allQuiet: "Keine Alarme", allQuietHint: "Im Moment ist nichts zu tun.",
  filter: "Filter", filterHint: "Station, Sensor oder Text", nothingFits: "Nichts passt zum Filter.",
  ago: "vor {span}", since: "seit {span}", noValueYet: "noch kein Wert", at: "bei", metre: "m",
  quality_uncertain: "unsicher", quality_bad: "schlechte Qualität",
  needsYou: "Zu bearbeiten", history: "Verlauf", acknowledge: "Quittieren", acknowledged: "Quittiert",
  ackBy: "Quittiert von {by}, {at}", details: "Einzelheiten", openChart: "Karte öffnen",
  UNACK: "aktiv, nicht quittiert", ACKED: "aktiv, quittiert", RTNUN: "gegangen, nicht quittiert",
  LUNACK: "gehalten, nicht quittiert", LACKED: "gehalten, quittiert", SHLVD: "zurückgestellt",
  DSUPR: "planmäßig unterdrückt", OOSRV: "außer Betrieb", NORM: "vorbei",
  whatToDo: "Was zu tun ist", cause: "Übliche Ursachen", consequence: "Wenn niemand handelt", rule: "Regel",
  firstSample: "Erster Messwert", onset: "Begann", raised: "Gemeldet", cleared: "Gegangen", value: "Wert", limit: "Grenze",
  product: "Produkt", count: "Aufgetreten", times: "{n}-mal", affected: "Betroffene Produkte", cost: "Kosten bisher", alarmClass: "Klasse",
  respondIn: "handeln innerhalb {span}", respondLate: "seit {span} überfällig",
  quality: "Qualität", safety: "Sicherheit", equipment: "Anlage", system: "System",
  comment: "Kommentar", commentHint: "Was Sie sehen oder tun (freiwillig)", cancel: "Abbrechen",
  loginToAck: "Zum Quittieren anmelden", login: "Anmelden", logout: "Abmelden", user: "Benutzer", password: "Passwort",
  loginNeeded: "Diese Tafel verlangt eine Anmeldung.", noRight: "{user} ({role}) darf das nicht. Bitte als Bediener anmelden.",
  wrongPassword: "Benutzer oder Passwort ist falsch.", throttled: "Zu viele Versuche. {detail}", unreachable: "Der Server antwortet nicht.",
  changed: "Dieser Alarm hat sich inzwischen geändert. Die Liste ist jetzt aktuell.", viewOnly: "Diese Tafel zeigt nur an; sie hat keine Anmeldung.",
  unknownSensor: "Die Linie hat diesen Sensor nicht (mehr).",
  points: "Regelkarte", lastPoints: "letzte {n} Punkte", h1: "1 h", h8: "8 h", h24: "24 h", d7: "7 d", all: "Alles",
  centre: "Mitte", sigma: "Sigma", spec: "Spezifikation", zones: "Sigma-Zonen", ewma: "EWMA",
  baseline: "Basis", ruleset: "Regelsatz", noChart: "Für diesen Sensor sind keine Eingriffsgrenzen gesetzt; die Werte stehen für sich.",
  findings: "Befunde", noFindings: "Keine Befunde. Soweit die Regeln sehen, ist der Prozess beherrscht.", open: "offen", closed: "erledigt",
  dragToZoom: "Ziehen vergrößert, Doppelklick setzt zurück.", mean: "Mittel", minmax: "Min bis Max", bins: "{span} je Punkt", rawPoints: "jeder Messwert",
  hoverPoint: "Auf einen Wert zeigen, um ihn zu lesen.", noHistory: "Für diese Zeit gibt es keinen Verlauf.", previous: "Voriger Sensor", next: "Nächster Sensor",
  kind: "Art", station: "Station", disposition: "Verwendung", from: "Entstanden aus", started: "Beginn", ended: "Verlassen", here: "jetzt hier",
  gates: "Prüftore", measures: "Gemessen", children: "wurde zu {n}", noProducts: "Noch keine Produkte.", length: "Länge",
  OPEN: "in Arbeit", undecided: "nicht entschieden", more: "und {n} weitere", OK: "frei", HOLD: "gesperrt", REWORK: "Nacharbeit", SCRAP: "Ausschuss",
  received: "empfangen", stored: "gespeichert", rejected: "abgewiesen", pending: "wartend",
  balanced: "Die Bilanz geht auf: Nichts ist verloren.", unbalanced: "Die Bilanz geht nicht auf: {n} Messwerte fehlen.",
  samples: "Messwerte", messages: "Nachrichten", processed: "verarbeitet", duplicates: "Doppelte Lieferungen", events: "Prüfsumme aller Ereignisse",
  sources: "Quellen", source: "Quelle", lastMessage: "Letzte Nachricht", skew: "Uhr", state: "Zustand", silent: "still", lost: "verloren",
  journal: "Journal", segments: "Dateien", cursor: "Verarbeitet bis", lastSeq: "Letzte Nummer",
  rejectedWhy: "Abgewiesen, nach Grund", deadLetters: "Abgewiesene Nachrichten", noDeadLetters: "Nichts wurde abgewiesen.",
  howToMend: "So lässt es sich beheben", discovery: "Unbekannte Topics", noDiscovery: "Jedes Topic ist beschrieben.",
  proposal: "Vorgeschlagene Zeile für line.toml", copy: "Kopieren", copied: "Kopiert", reload: "line.toml neu laden",
  reloaded: "Geladen. Version {version} gilt.", notChanged: "Seit Version {version} hat sich nichts geändert.", reason: "Grund", topic: "Topic", payload: "Inhalt",
  theme: "Hell oder dunkel", sound: "Ton bei P1-Alarmen", language: "English", help: "Tastatur", close: "Schließen",
  keyPages: "Seiten", keyFilter: "Filter", keyMove: "Nächster oder voriger Alarm", keyAck: "Gewählten Alarm quittieren",
  keyOpen: "Einzelheiten des gewählten Alarms", keyHelp: "Diese Hilfe", version: "Version", unacked: "{n} nicht quittiert", shelvedCount: "{n} zurückgestellt",
  throughput: "Durchsatz", perSecondSamples: "{n} Messwerte/s", cpu: "Rechenzeit je Messwert", noRules: "Keine Laufregeln wachen über diesen Sensor.",
  failed: "Das ging nicht: {detail}", loading: "Lade …", choose: "Sensor", show: "Zeigen",
};

// Rules come in the server's English; these are their German twins.
const RULES_DE = {
  ewma: "Der gleitende Mittelwert (EWMA) liegt außerhalb seiner Grenzen: kleine, anhaltende Verschiebung.",
  cusum: "Die aufsummierte Abweichung (CUSUM) überschreitet ihre Grenze: anhaltende Verschiebung seit dem Beginn.",
  hampel: "Der Wert weicht stark vom Median seiner Nachbarn ab (Hampel).",
  gap: "Es fehlten Messwerte; die Laufregeln beginnen neu.",
  stuck: "Der Sensor zeigt zu lange denselben Wert.",
  spike: "Ein einzelner Wert springt und kehrt sofort zurück.",
  rate: "Der Wert ändert sich schneller, als es möglich ist.",
};
const RUN_RULE = /^(rule\d+|r4s)$/;
const RUN_RULES_DE = [
  [/^one point beyond (\S+) sigma on one side, the next on the other/, "Ein Punkt jenseits von $1 Sigma auf der einen Seite, der nächste auf der anderen"],
  [/(\d+) of (\d+) points/, "$1 von $2 Punkten"], [/^1 point/, "1 Punkt"], [/(\d+) points in a row/, "$1 Punkte in Folge"],
  [/beyond (\S+?) sigma/, "jenseits von $1 Sigma"], [/within (\S+) sigma of the centre line/, "innerhalb von $1 Sigma um die Mittellinie"],
  [/above the centre line/, "über der Mittellinie"], [/below the centre line/, "unter der Mittellinie"],
  [/steadily rising/, "stetig steigend"], [/steadily falling/, "stetig fallend"], [/alternating up and down/, "abwechselnd auf und ab"],
  [/, either side/, ", gleich auf welcher Seite"], [/, on both sides/, ", auf beiden Seiten"],
];
const german = (rule, text) => (RUN_RULE.test(rule)
  ? RUN_RULES_DE.reduce((words, [from, to]) => words.replace(from, to), text ?? "") : RULES_DE[rule]);

let current = memory.get("lang") ?? (navigator.language.toLowerCase().startsWith("de") ? "de" : "en");
document.documentElement.lang = current;

export const lang = () => current;

export function setLang(next) {
  current = next;
  memory.set("lang", next);
  document.documentElement.lang = next;
}

/** The words for a key; {name} is filled from `values`. */
export const t = (key, values = {}) =>
  ((current === "de" ? DE : EN)[key] ?? EN[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));

/** A rule in words. */
export const ruleText = (rule, text) => (current === "de" && german(rule, text)) || text || rule;
