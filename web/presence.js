/** The users connected to a chat. Above 50 users the server sends only their number. */
export class Presence {
  members = new Map(); // user id → username
  count = 0;

  take(frame) {
    if (frame.type === "presence_count") {
      this.count = frame.count;
      return;
    }
    if (frame.type === "presence_state") this.members = new Map(frame.members.map(({ user_id: id, username }) => [id, username]));
    else if (frame.status === "join") this.members.set(frame.user_id, frame.username);
    else this.members.delete(frame.user_id);
    this.count = this.members.size;
  }
}
