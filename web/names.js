/** How people, chats and times are shown. */

import { language, locale } from "./translator.js";
import { t } from "./words.js";

const timeFormat = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
const dayFormat = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" });
const weekdayFormat = new Intl.DateTimeFormat(locale, { weekday: "short" });
const dateFormat = new Intl.DateTimeFormat(locale, { day: "2-digit", month: "2-digit", year: "2-digit" });
const listFormat = new Intl.ListFormat(language);

/** The displayed name of a person: the display name, else first and last name, else the login. */
export function nameOf({ display_name: name = "", first_name: first = "", last_name: last = "", username }) {
  return name || `${first} ${last}`.trim() || username;
}

/** The name of a chat: its title, else the names of the other members. */
export function titleOf(info, myId) {
  const others = info.members.filter((member) => member.user_id !== myId);
  return info.title || others.map(nameOf).join(", ") || t("Just you");
}

/** Whose colour the chat's avatar has: the other person's in a chat of two. */
export function avatarIdOf(info, myId) {
  const others = info.members.filter((member) => member.user_id !== myId);
  return others.length === 1 ? others[0].user_id : info.id;
}

/** Fills an avatar: an initial in a colour that depends only on `id`. */
export function paintAvatar(element, id, name) {
  element.textContent = [...name][0]?.toUpperCase() ?? "";
  element.dataset.hue = id % 8;
}

export function listed(names) {
  return listFormat.format(names);
}

export function clockOf(at) {
  return timeFormat.format(at);
}

/** The day of a message, above the first one of it. */
export function dayName(at) {
  return [t("Today"), t("Yesterday")][daysSince(at)] ?? dayFormat.format(at);
}

/** When a chat was last active: the time today, else the day. */
export function shortTime(at) {
  const days = daysSince(at);
  if (days <= 0) return clockOf(at);
  return days < 7 ? weekdayFormat.format(at) : dateFormat.format(at);
}

/** The time until `time` in steps of 5 s: a screen reader announces each change. */
export function inSeconds(time) {
  const seconds = (time - Date.now()) / 1000;
  return seconds > 3 ? t("in {seconds} s", { seconds: Math.ceil(seconds / 5) * 5 }) : t("in a moment");
}

function daysSince(at) {
  return Math.round((new Date().setHours(0, 0, 0, 0) - new Date(at).setHours(0, 0, 0, 0)) / 86_400_000);
}

export function asSentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** Sets the text if it differs: an unchanged live region stays silent. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
