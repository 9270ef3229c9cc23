/** The hooks in components of React Native, by its preset for Jest, with a node: GATEWAY is its URL, CHAT the only chat of TOKEN's user. */
import React from "react";
import { FlatList, Text, TextInput, View } from "react-native";
import { act, create } from "react-test-renderer";
import { WebSocket } from "ws";

import { Client } from "@chat-gateway/client";
import { ClientProvider, useChat, useChats } from "@chat-gateway/react";

const { GATEWAY, TOKEN, CHAT } = process.env;

function Conversation({ id }) {
  const { chat, state, messages } = useChat(id);
  return (
    <View testID={state}>
      <FlatList
        data={messages}
        keyExtractor={(message) => message.client_msg_id}
        renderItem={({ item }) => <Text testID={item.status}>{item.text}</Text>}
      />
      <TextInput onSubmitEditing={({ nativeEvent }) => chat.send(nativeEvent.text)} />
    </View>
  );
}

function App() {
  const { items } = useChats();
  return items.map(({ id }) => <Conversation key={id} id={id} />);
}

test("a message that is typed is shown and stored", async () => {
  const client = new Client(GATEWAY, { token: TOKEN, WebSocket, storage: null });
  let tree;
  await act(async () => { tree = create(<ClientProvider client={client}><App /></ClientProvider>); });
  const until = async (isMet) => {
    while (!isMet()) await act(() => new Promise((resolve) => setTimeout(resolve, 50)));
  };
  await until(() => tree.root.findAllByProps({ testID: "live" }).length > 0);
  const text = `From React Native ${Date.now()}`;
  await act(async () => tree.root.findByType(TextInput).props.onSubmitEditing({ nativeEvent: { text } }));
  await until(() => tree.root.findAllByType(Text).some(({ props }) => props.testID === "stored" && props.children === text));
  await act(async () => tree.unmount());
  expect(client.chat(Number(CHAT)).state).toBe("idle");
  client.close();
}, 110_000); // ends a hang
