from gateway.messages import check_client_msg_id, may_be_retry, new_client_msg_id


def test_ids_that_the_node_gives_are_valid_unique_and_no_retries() -> None:
    given = [new_client_msg_id() for _ in range(1000)]
    assert len(set(given)) == 1000
    assert all(check_client_msg_id(one) and not may_be_retry(one) for one in given)
