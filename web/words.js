/**
 * The page's words in the language of the browser: English, and Russian from the table below.
 *
 * A sentence is its own key. `{name}` stands for a value; where the form depends on a number there are several, by
 * Intl.PluralRules. A sentence that the table lacks stays English, as do those that the server sends.
 */

const RUSSIAN = {
  "Welcome back": "С возвращением",
  "Log in to continue.": "Войдите, чтобы продолжить.",
  "Log in": "Войти",
  "New here?": "Впервые здесь?",
  "Create an account": "Создать учётную запись",
  "A login and a password are all it takes.": "Нужны только логин и пароль.",
  "Create account": "Создать",
  "Have an account?": "Уже есть учётная запись?",
  Login: "Логин",
  "First name": "Имя",
  "Last name": "Фамилия",
  optional: "необязательно",
  Password: "Пароль",
  "Code of your authenticator, or a recovery code": "Код из приложения или код восстановления",
  Chats: "Чаты",
  "New chat": "Новый чат",
  "Search my chats": "Поиск по моим чатам",
  Search: "Поиск",
  "My chats": "Мои чаты",
  "No chat has this name.": "Нет чата с таким названием.",
  "No chats yet. Start one with another user’s login.": "Чатов пока нет. Начните новый, указав логин собеседника.",
  "Switch user": "Выйти",
  Conversation: "Беседа",
  "Choose a chat or start one": "Выберите чат или начните новый",
  "To see it work, open this page in a second window, register another user, and talk to yourself: each window may be served by a different replica.":
    "Чтобы увидеть, как это работает, откройте страницу во втором окне, зарегистрируйте другого пользователя и поговорите сами с собой: окна могут обслуживать разные реплики.",
  "Back to my chats": "Назад к моим чатам",
  "About this chat": "Об этом чате",
  Messages: "Сообщения",
  "New messages": "Новые сообщения",
  "Editing your message": "Изменение сообщения",
  Cancel: "Отмена",
  "the reply": "ответ",
  Message: "Сообщение",
  "Write a message": "Напишите сообщение",
  Send: "Отправить",
  "Send (Enter)": "Отправить (Enter)",
  sends: "отправляет",
  "breaks the line": "новая строка",
  "edits your last message": "изменить последнее сообщение",
  "With whom?": "С кем?",
  "login, or several: bob, carol": "логин или несколько: bob, carol",
  Start: "Начать",
  "Delete this message for everyone?": "Удалить это сообщение для всех?",
  Keep: "Оставить",
  Delete: "Удалить",
  "Some messages are not sent yet": "Некоторые сообщения ещё не отправлены",
  "They stay in this window and are sent when you log in here again.": "Они останутся в этом окне и будут отправлены после следующего входа.",
  Stay: "Остаться",
  edited: "изменено",
  React: "Реакция",
  "React with": "Реакция",
  Reactions: "Реакции",
  Reply: "Ответить",
  Edit: "Изменить",
  Discard: "Убрать",
  "Notify me of new messages": "Уведомлять о новых сообщениях",
  "You were mentioned": "Вас упомянули",
  Title: "Название",
  Save: "Сохранить",
  Members: "Участники",
  "Add a member": "Добавить участника",
  login: "логин",
  Add: "Добавить",
  "Go to a day": "Перейти к дню",
  Go: "Перейти",
  "Keep at the top of my list": "Держать вверху списка",
  Mute: "Без уведомлений",
  Leave: "Покинуть",
  Close: "Закрыть",
  Remove: "Удалить",
  Member: "Участник",
  Moderator: "Модератор",
  Reader: "Читатель",
  Owner: "Владелец",
  "Role of {name}": "Роль: {name}",
  "Remove {name}": "Удалить: {name}",
  "{name} (you)": "{name} (вы)",
  "{count} members": { one: "{count} участник", few: "{count} участника", other: "{count} участников" },
  "Just you": "Только вы",
  Today: "Сегодня",
  Yesterday: "Вчера",
  "Message deleted": "Сообщение удалено",
  Attachment: "Вложение",
  "Image {name}": "Изображение {name}",
  "The image {name} cannot be shown": "Изображение {name} нельзя показать",
  "You: {text}": "Вы: {text}",
  online: "в сети",
  "{count} unread": { one: "{count} непрочитанное", few: "{count} непрочитанных", other: "{count} непрочитанных" },
  "Your session has ended. Please log in again.": "Сеанс завершён. Войдите снова.",
  "This account has been blocked.": "Эта учётная запись заблокирована.",
  "Too many requests were sent or refused. Please wait a minute before you come back.": "Слишком много запросов. Подождите минуту.",
  "Not connected": "Нет соединения",
  connecting: "соединение",
  offline: "не в сети",
  "This window is served by the replica {node}": "Это окно обслуживает реплика {node}",
  "Trying again {when}.": "Следующая попытка {when}.",
  "Trying again now.": "Пробуем снова.",
  "This replica is restarting.": "Реплика перезапускается.",
  "The connection was lost.": "Соединение потеряно.",
  "The server has closed the connection (code {code}).": "Сервер закрыл соединение (код {code}).",
  "You are offline. What you write is sent when the network is back.": "Нет сети. Написанное будет отправлено, когда сеть вернётся.",
  "Open again": "Открыть снова",
  "Try now": "Повторить сейчас",
  "Nothing here yet. Say hello.": "Здесь пока пусто. Поздоровайтесь.",
  "This is where it began.": "Здесь начало беседы.",
  "Not sent": "Не отправлено",
  Sending: "Отправляется",
  "Waiting for the connection": "Ожидает соединения",
  Sent: "Отправлено",
  everyone: "все",
  "Read by {who}": "Прочитали: {who}",
  "Several people are typing": "Несколько человек печатают",
  "{names} are typing": { one: "{names} печатает", other: "{names} печатают" },
  "Your message goes out {when}.": "Сообщение будет отправлено {when}.",
  "{count} are here": "Здесь: {count}",
  "Nobody else is here": "Больше никого нет",
  "{names} are here": { one: "{names} здесь", other: "{names} здесь" },
  "in {seconds} s": "через {seconds} с",
  "in a moment": "через мгновение",
  "This message was deleted.": "Сообщение удалено.",
  "Not sent. {why}": "Не отправлено. {why}",
  "A message cannot be empty.": "Сообщение не может быть пустым.",
  "A message can have at most {most} characters; this one has {length}.": "В сообщении может быть не больше {most} знаков; в этом {length}.",
  "The server cannot be reached. Please check your connection and try again.": "Сервер недоступен. Проверьте соединение и попробуйте снова.",
  "Thumbs up": "Палец вверх",
  Heart: "Сердце",
  Laughing: "Смех",
  Party: "Праздник",
  Surprised: "Удивление",
  Sad: "Грусть",
};
/** English forms for one, where they differ. */
const SINGULAR = { "{count} members": "{count} member", "{names} are typing": "{names} is typing", "{names} are here": "{names} is here" };

const ATTRIBUTES = ["aria-label", "placeholder", "title"];

/** "en" or "ru", by the languages of the browser. */
export const language = (globalThis.navigator?.languages ?? []).find((tag) => /^(en|ru)\b/i.test(tag))?.slice(0, 2).toLowerCase() ?? "en";

const plurals = new Intl.PluralRules(language);

/** The sentence in the language of the page; `count` chooses the form. */
export function t(sentence, values = {}, count = values.count) {
  const form = count === undefined ? "other" : plurals.select(count);
  let text = form === "one" ? (SINGULAR[sentence] ?? sentence) : sentence;
  if (language === "ru" && Object.hasOwn(RUSSIAN, sentence)) {
    const found = RUSSIAN[sentence];
    text = typeof found === "string" ? found : (found[form] ?? found.other);
  }
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Translates the texts of a document or template as it is in `index.html`. */
export function translate(root) {
  if (language === "en") return;
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { data } = walker.currentNode;
    const words = data.trim().replace(/^· /, "").replace(/ ·$/, "");
    if (words && Object.hasOwn(RUSSIAN, words)) walker.currentNode.data = data.replace(words, t(words));
  }
  for (const name of ATTRIBUTES) {
    for (const element of root.querySelectorAll(`[${name}]`)) element.setAttribute(name, t(element.getAttribute(name)));
  }
  for (const template of root.querySelectorAll("template")) translate(template.content);
}
