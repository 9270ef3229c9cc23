/** An application with the hooks. A test compiles it, checks its types, and runs it in a browser. */

import { StrictMode, memo } from "react";
import { createRoot } from "react-dom/client";

import { Client, type Message } from "@chat-gateway/client";
import { ClientProvider, useChat, useChats, useClient } from "@chat-gateway/react";

const Row = memo(function Row({ message }: { message: Message }) {
  counted.rows += 1;
  return <li className={message.status}>{message.text}</li>;
});

function Conversation({ name }: { name: number | string }) {
  const { chat, state, error, messages, presence } = useChat(name);
  return (
    <section data-state={state} data-present={presence?.count} data-error={error?.code}>
      <ul>
        {messages.map((message) => (
          <Row key={message.client_msg_id} message={message} />
        ))}
      </ul>
      <button onClick={() => chat?.send(`Hello ${messages.length}`)}>Send</button>
    </section>
  );
}

function App({ names }: { names: (number | string)[] }) {
  const { me, state } = useClient();
  const { items } = useChats();
  return (
    <main data-me={me?.id} data-state={state} data-chats={items.map(({ id }) => id).join()}>
      {names.map((name) => (
        <Conversation key={name} name={name} />
      ))}
    </main>
  );
}

const counted = { rows: 0 };
const [url, token, names] = JSON.parse(decodeURIComponent(location.hash.slice(1)));
const client = new Client(url, { token });
const root = createRoot(document.body);
const show = (shown: (number | string)[]) =>
  root.render(
    <StrictMode>
      <ClientProvider client={client}>
        <App names={shown} />
      </ClientProvider>
    </StrictMode>,
  );
Object.assign(window, { client, counted, show });
show(names);
