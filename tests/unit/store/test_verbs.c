// SPDX-License-Identifier: Apache-2.0
/* accept, create, claim, advance, list, counts: what each verb promises, and each of its answers.
 */
#include "store_help.h"

#include "base/limits.h"

struct fixture {
    struct test_time time;
    struct store *store;
    struct arena arena;
    struct error err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    test_time_init(&f->time);
    f->store = open_fresh(&f->time.clock);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    arena_finish(&f->arena);
    free(f);
    return 0;
}

static void test_store__event_becomes_a_remediation(void **state)
{
    struct fixture *f = *state;
    assert_true(accept_one(f->store, "e1", "p", BUCKET("a"), T0 + 5000));
    struct remediation r = get(f->store, 1, &f->arena);
    assert_int_equal(r.kind, REMEDIATION_REPAIR);
    assert_int_equal(r.state, STATE_RECEIVED);
    assert_int_equal(r.sequence, 0);
    assert_int_equal(r.created_ms, T0);
    assert_int_equal(r.due_ms, T0 + 5000);
    assert_true(str_is(r.policy, "p"));
    assert_true(str_is(r.policy_hash, "00ff"));
    assert_true(str_is(r.resource, BUCKET("a")));
    assert_true(str_is(r.region, "eu-west-1"));
    assert_true(str_is(value_path_str(r.detail, "event.id"), "e"));
    assert_int_equal(store_get(f->store, 2, &f->arena, &r, &f->err), STORE_ABSENT);
}

static void test_store__same_key_vanishes(void **state)
{
    struct fixture *f = *state;
    assert_true(accept_one(f->store, "e1", "p", BUCKET("a"), T0));
    assert_false(accept_one(f->store, "e1", "p", BUCKET("a"), T0));
    assert_false(accept_one(f->store, "e1", "q", BUCKET("b"), T0));
    assert_int_equal(get(f->store, 1, &f->arena).sequence, 0);
    assert_int_equal(log_size(f->store), 1);
}

static void test_store__keys_are_forgotten_after_two_weeks(void **state)
{
    struct fixture *f = *state;
    assert_true(accept_one(f->store, "e1", "p", BUCKET("a"), T0));
    f->time.now += INT64_C(13) * 86400000;
    assert_true(accept_one(f->store, "x1", "p", BUCKET("b"), T0));
    assert_false(accept_one(f->store, "e1", "p", BUCKET("a"), T0));
    f->time.now += INT64_C(2) * 86400000;
    assert_true(accept_one(f->store, "x2", "p", BUCKET("c"), T0));
    assert_true(accept_one(f->store, "e1", "p", BUCKET("a"), T0));
    assert_false(accept_one(f->store, "x1", "p", BUCKET("b"), T0));
}

static void test_store__newer_event_joins_the_active_one(void **state)
{
    struct fixture *f = *state;
    accept_one(f->store, "e1", "p", BUCKET("a"), T0 + 5000);
    struct store_match match = match_of("p", BUCKET("a"), T0 + 9000);
    match.detail = STR("{\"event\":{\"id\":\"newer\"},\"mode\":\"observe\"}");
    struct store_event event = {STR("e2"), STR("s3:PutBucketTagging"), &match, 1};
    assert_int_equal(store_accept(f->store, &event, 1, NULL, &f->err), STORE_OK);
    struct remediation r = get(f->store, 1, &f->arena);
    assert_int_equal(r.sequence, 1);
    assert_int_equal(r.version, 1);
    assert_int_equal(r.due_ms, T0 + 5000);
    assert_true(str_is(value_path_str(r.detail, "event.id"), "newer"));
    assert_true(str_is(value_path_str(r.detail, "mode"), "enforce"));
    /* An earlier due time is kept, in received and settling only. */
    accept_one(f->store, "e3", "p", BUCKET("a"), T0 + 1000);
    assert_int_equal(get(f->store, 1, &f->arena).due_ms, T0 + 1000);
    f->time.now += 1000;
    struct store_claim claim = claim_one(f->store);
    struct store_transition t = move_to(f->store, claim, STATE_HELD);
    t.due_ms = T0 + 50000;
    assert_int_equal(go(f->store, &t), STORE_OK);
    accept_one(f->store, "e4", "p", BUCKET("a"), T0 + 2000);
    assert_int_equal(get(f->store, 1, &f->arena).due_ms, T0 + 50000);
    /* Another policy and another resource are others. */
    accept_one(f->store, "e5", "q", BUCKET("a"), T0);
    accept_one(f->store, "e6", "p", BUCKET("b"), T0);
    assert_int_equal(get(f->store, 3, &f->arena).sequence, 0);
}

static void test_store__many_matches_in_one_event(void **state)
{
    struct fixture *f = *state;
    struct store_match matches[] = {match_of("p", BUCKET("a"), T0), match_of("q", BUCKET("a"), T0),
                                    match_of("p", BUCKET("a"), T0)};
    struct store_event events[] = {{STR("e1"), STR("n"), matches, 3},
                                   {STR("e2"), STR("n"), NULL, 0},
                                   {STR("e1"), STR("n"), matches, 3}};
    bool accepted[3];
    assert_int_equal(store_accept(f->store, events, 3, accepted, &f->err), STORE_OK);
    assert_true(accepted[0] && accepted[1] && !accepted[2]);
    assert_int_equal(get(f->store, 1, &f->arena).sequence, 1);
    assert_int_equal(get(f->store, 2, &f->arena).sequence, 0);
    assert_int_equal(log_size(f->store), 3);
}

static void test_store__event_of_our_own_call_starts_nothing(void **state)
{
    struct fixture *f = *state;
    accept_one(f->store, "e1", "p", BUCKET("a"), T0);
    struct store_claim claim = claim_one(f->store);
    struct store_transition t = move_to(f->store, claim, STATE_VERIFYING);
    t.request_id = STR("REQ1");
    t.keep_lease = false;
    t.due_ms = T0 + 60000;
    assert_int_equal(go(f->store, &t), STORE_OK);
    struct store_match matches[] = {match_of("p", BUCKET("a"), T0), match_of("q", BUCKET("a"), T0)};
    struct store_event ours = {STR("e2"), STR("s3:PutBucketTagging"), matches, 2, STR("REQ1")};
    struct store_event other = {STR("e3"), STR("s3:PutBucketTagging"), matches, 2, STR("REQ2")};
    f->time.now += 10;
    assert_int_equal(store_accept(f->store, &ours, 1, NULL, &f->err), STORE_OK);
    struct remediation r = get(f->store, 1, &f->arena), none;
    assert_int_equal(r.sequence, 0);
    assert_int_equal(r.due_ms, T0 + 10); // what was called is verified now
    assert_int_equal(store_get(f->store, 2, &f->arena, &none, &f->err), STORE_ABSENT);
    assert_int_equal(store_accept(f->store, &other, 1, NULL, &f->err), STORE_OK);
    assert_int_equal(get(f->store, 1, &f->arena).sequence, 1);
    assert_true(str_is(get(f->store, 2, &f->arena).policy, "q"));
}

static void test_store__our_request_id_on_another_resource_is_an_event(void **state)
{
    struct fixture *f = *state;
    accept_one(f->store, "e1", "p", BUCKET("a"), T0);
    struct store_claim claim = claim_one(f->store);
    struct store_transition t = move_to(f->store, claim, STATE_VERIFYING);
    t.request_id = STR("REQ1");
    t.due_ms = T0 + 60000;
    assert_int_equal(go(f->store, &t), STORE_OK);
    struct store_match matches[] = {match_of("p", BUCKET("a"), T0), match_of("p", BUCKET("b"), T0)};
    struct store_event forged = {STR("e2"), STR("s3:PutBucketTagging"), matches, 2, STR("REQ1")};
    assert_int_equal(store_accept(f->store, &forged, 1, NULL, &f->err), STORE_OK);
    assert_int_equal(get(f->store, 1, &f->arena).sequence, 1);
    assert_int_equal(get(f->store, 2, &f->arena).state, STATE_RECEIVED);
}

static void test_store__create_refuses_a_second_active_one(void **state)
{
    struct fixture *f = *state;
    int64_t id = 0, again = 0;
    struct store_match match = match_of("p", BUCKET("a"), T0);
    accept_one(f->store, "e1", "p", BUCKET("a"), T0);
    assert_int_equal(
        store_create(f->store, REMEDIATION_ROLLBACK, &match, STR("{\"by\":\"ann\"}"), &id, &f->err),
        STORE_OK);
    assert_int_equal(get(f->store, id, &f->arena).kind, REMEDIATION_ROLLBACK);
    assert_int_equal(
        store_create(f->store, REMEDIATION_ROLLBACK, &match, STR("{}"), &again, &f->err),
        STORE_CONFLICT);
    assert_int_equal(again, id);
}

static void test_store__claims_what_is_due_earliest_first(void **state)
{
    struct fixture *f = *state;
    struct store_claim claims[4];
    int64_t next;
    assert_int_equal(claim_some(f->store, 4, claims, &next), 0);
    assert_true(next == INT64_MAX);
    accept_one(f->store, "e1", "p", BUCKET("a"), T0 + 3);
    accept_one(f->store, "e2", "p", BUCKET("b"), T0 + 1);
    accept_one(f->store, "e3", "p", BUCKET("c"), T0 + 2);
    accept_one(f->store, "e4", "p", BUCKET("d"), T0 + 100);
    assert_int_equal(claim_some(f->store, 4, claims, &next), 0);
    assert_int_equal(next, T0 + 1);
    f->time.now = T0 + 10;
    assert_int_equal(claim_some(f->store, 2, claims, &next), 2);
    assert_int_equal(claims[0].id, 2);
    assert_int_equal(claims[1].id, 3);
    assert_int_equal(claims[0].epoch, 1);
    assert_int_equal(next, T0 + 3);
    assert_int_equal(claim_some(f->store, 4, claims, &next), 1);
    assert_int_equal(claims[0].id, 1);
    assert_int_equal(next, T0 + 100);
}

static void test_store__lease_over_is_claimed_again_with_a_new_epoch(void **state)
{
    struct fixture *f = *state;
    int64_t next;
    struct store_claim old, new;
    accept_one(f->store, "e1", "p", BUCKET("a"), T0);
    old = claim_one(f->store);
    assert_true(store_owns(f->store, old.id, old.epoch));
    assert_false(store_owns(f->store, old.id, old.epoch + 1));
    assert_false(store_owns(f->store, old.id + 1, old.epoch));
    assert_int_equal(claim_some(f->store, 1, &new, &next), 0);
    assert_int_equal(next, T0 + LEASE_MS);
    f->time.now += LEASE_MS;
    assert_false(store_owns(f->store, old.id, old.epoch));
    new = claim_one(f->store);
    assert_int_equal(new.epoch, old.epoch + 1);
    struct store_transition t = move_to(f->store, old, STATE_READING);
    assert_int_equal(go(f->store, &t), STORE_CONFLICT);
    must_go(f->store, new, STATE_READING);
}

static void test_store__leases_end_but_for_those_that_are_held(void **state)
{
    struct fixture *f = *state;
    struct store_claim claims[3], again[3];
    int64_t next;
    accept_one(f->store, "e1", "p", BUCKET("a"), T0);
    accept_one(f->store, "e2", "p", BUCKET("b"), T0);
    accept_one(f->store, "e3", "p", BUCKET("c"), T0);
    assert_int_equal(claim_some(f->store, 3, claims, &next), 3);
    must_go(f->store, claims[1], STATE_CALLING);
    assert_int_equal(store_end_leases(f->store, claims, 1, &f->err), STORE_OK);
    assert_int_equal(claim_some(f->store, 3, again, &next), 2); // ours: no grace
    for (int i = 0; i < 2; i++) {
        assert_int_equal(again[i].id, claims[i + 1].id);
        assert_true(again[i].epoch > claims[i + 1].epoch);
        assert_false(store_owns(f->store, claims[i + 1].id, claims[i + 1].epoch));
    }
    assert_int_equal(next, T0 + LEASE_MS);
    must_go(f->store, claims[0], STATE_READING); // still its holder's
    assert_int_equal(store_end_leases(f->store, NULL, 0, &f->err), STORE_OK);
    assert_int_equal(claim_some(f->store, 3, again, &next), 3);
}

static void test_store__transition_is_conditional_and_recorded(void **state)
{
    struct fixture *f = *state;
    struct store_leaf *leaves;
    size_t count;
    accept_one(f->store, "e1", "p", BUCKET("a"), T0);
    struct store_claim claim = claim_one(f->store);
    struct store_transition t = move_to(f->store, claim, STATE_UNREAD);
    t.version++;
    assert_int_equal(go(f->store, &t), STORE_CONFLICT);
    t.version--;
    t.epoch++;
    assert_int_equal(go(f->store, &t), STORE_CONFLICT);
    t.epoch--;
    t.id++;
    assert_int_equal(go(f->store, &t), STORE_ABSENT);
    t.id--;
    t.step = 3;
    t.due_ms = T0 + 77;
    t.reason = STR("said \"no\"");
    t.detail = STR("{\"event\":{\"id\":\"e\"},\"mode\":\"observe\"}");
    assert_int_equal(go(f->store, &t), STORE_OK);
    struct remediation r = get(f->store, claim.id, &f->arena);
    assert_int_equal(r.state, STATE_UNREAD);
    assert_int_equal(r.step, 3);
    assert_int_equal(r.version, 2);
    assert_int_equal(r.due_ms, T0 + 77);
    assert_true(str_is(r.reason, "said \"no\""));
    assert_true(str_is(value_path_str(r.detail, "mode"), "observe"));
    assert_int_equal(store_leaves(f->store, claim.id, 0, 10, &f->arena, &leaves, &count, &f->err),
                     STORE_OK);
    assert_int_equal(count, 2);
    assert_true(
        str_is(leaves[1].text,
               "{\"at\":1790000000000,\"body\":{\"x\":1},\"id\":\"r1\",\"kind\":"
               "\"transition\",\"policy\":\"p\",\"reason\":\"said \\\"no\\\"\",\"resource\":"
               "\"" BUCKET("a") "\",\"state\":\"unread\",\"step\":3,\"version\":2}"));
    assert_int_equal(leaves[1].index, 1);
}

static void test_store__every_leaf_is_canonical_json(void **state)
{
    struct fixture *f = *state;
    struct store_leaf *leaves;
    size_t count;
    accept_one(f->store, "e\"1\n", "p", BUCKET("\xc3\xa9"), T0);
    struct store_claim claim = claim_one(f->store);
    must_go(f->store, claim, STATE_READING);
    must_go(f->store, claim, STATE_COMPLIANT);
    assert_int_equal(store_record(f->store, STR("policies"), STR("{\"n\":3}"), &f->err), STORE_OK);
    assert_int_equal(store_breaker_set(f->store, STR("p"), 1000, STR("x"), &f->err), STORE_OK);
    assert_int_equal(store_leaves(f->store, 0, 0, 10, &f->arena, &leaves, &count, &f->err),
                     STORE_OK);
    assert_int_equal(count, 5);
    for (size_t i = 0; i < count; i++) {
        struct value value;
        struct buf out = {.arena = &f->arena};
        assert_true(json_parse(&f->arena, leaves[i].text, &value, &f->err));
        json_write(&out, value, JSON_CANONICAL);
        assert_true(str_eq(buf_str(&out), leaves[i].text));
    }
}

static void test_store__long_body_is_cut_to_its_hash(void **state)
{
    struct fixture *f = *state;
    struct store_leaf *leaves;
    size_t count, frame = strlen("{\"at\":1790000000000,\"body\":,\"kind\":\"k\"}");
    for (size_t over = 0; over < 2; over++) {
        size_t size = LIMIT_RECORD_BYTES - frame + over;
        char *body = malloc(size);
        assert_non_null(body);
        memset(body, 'a', size);
        memcpy(body, "{\"a\":\"", 6);
        memcpy(body + size - 2, "\"}", 2);
        struct str text = {body, size};
        assert_int_equal(store_record(f->store, STR("k"), text, &f->err), STORE_OK);
        assert_int_equal(
            store_leaves(f->store, 0, (int64_t)over, 1, &f->arena, &leaves, &count, &f->err),
            STORE_OK);
        if (over == 0) {
            assert_int_equal(leaves[0].text.len, LIMIT_RECORD_BYTES);
        } else {
            char hex[65], expected[256];
            struct sha256 hash = hash_sha256(body, size);
            hash_hex(hash.bytes, 32, hex);
            snprintf(expected, sizeof expected,
                     "{\"at\":1790000000000,\"body\":{\"cut\":true,"
                     "\"sha256\":\"%s\"},\"kind\":\"k\"}",
                     hex);
            assert_true(str_is(leaves[0].text, expected));
        }
        free(body);
    }
}

static void test_store__terminal_has_no_way_out(void **state)
{
    struct fixture *f = *state;
    int64_t next;
    struct store_claim none;
    accept_one(f->store, "e1", "p", BUCKET("a"), T0);
    struct store_claim claim = claim_one(f->store);
    must_go(f->store, claim, STATE_COMPLIANT);
    assert_false(store_owns(f->store, claim.id, claim.epoch));
    struct store_transition t = move_to(f->store, claim, STATE_READING);
    assert_int_equal(go(f->store, &t), STORE_CONFLICT);
    t.epoch = 0;
    t.to = STATE_COMPLIANT;
    assert_int_equal(go(f->store, &t), STORE_CONFLICT);
    assert_int_equal(claim_some(f->store, 1, &none, &next), 0);
    assert_true(next == INT64_MAX);
    assert_true(accept_one(f->store, "e2", "p", BUCKET("a"), T0));
    assert_int_equal(get(f->store, 2, &f->arena).state, STATE_RECEIVED);
}

static void test_store__unseen_event_starts_a_successor(void **state)
{
    struct fixture *f = *state;
    accept_one(f->store, "e1", "p", BUCKET("a"), T0);
    struct store_claim claim = claim_one(f->store);
    must_go(f->store, claim, STATE_READING);
    struct store_match match = match_of("p", BUCKET("a"), T0 + 60000);
    match.policy_hash = STR("beef");
    match.detail = STR("{\"event\":{\"id\":\"late\"},\"mode\":\"observe\"}");
    struct store_event event = {STR("e2"), STR("n"), &match, 1};
    assert_int_equal(store_accept(f->store, &event, 1, NULL, &f->err), STORE_OK);
    struct store_transition t = move_to(f->store, claim, STATE_INTENT);
    t.sequence_unchanged = true;
    assert_int_equal(go(f->store, &t), STORE_CONFLICT);
    must_go(f->store, claim, STATE_COMPLIANT);
    struct remediation next = get(f->store, 2, &f->arena);
    assert_int_equal(next.state, STATE_RECEIVED);
    assert_int_equal(next.due_ms, T0 + 60000);
    assert_int_equal(next.sequence, 0);
    assert_true(str_is(next.policy_hash, "beef"));
    assert_true(str_is(value_path_str(next.detail, "event.id"), "late"));
    f->time.now += 60000;
    claim = claim_one(f->store);
    assert_int_equal(claim.id, 2);
    must_go(f->store, claim, STATE_COMPLIANT);
    struct remediation r;
    assert_int_equal(store_get(f->store, 3, &f->arena, &r, &f->err), STORE_ABSENT);
}

static void test_store__event_before_the_reading_needs_no_successor(void **state)
{
    struct fixture *f = *state;
    struct remediation r;
    accept_one(f->store, "e1", "p", BUCKET("a"), T0);
    struct store_claim claim = claim_one(f->store);
    accept_one(f->store, "e2", "p", BUCKET("a"), T0);
    must_go(f->store, claim, STATE_READING);
    r = get(f->store, 1, &f->arena);
    assert_int_equal(r.sequence, 1);
    assert_int_equal(r.sequence_seen, 1);
    must_go(f->store, claim, STATE_COMPLIANT);
    assert_int_equal(store_get(f->store, 2, &f->arena, &r, &f->err), STORE_ABSENT);
}

static void test_store__an_event_never_shortens_what_has_to_settle(void **state)
{
    struct fixture *f = *state;
    accept_one(f->store, "e1", "p", BUCKET("a"), T0 + 60000);
    accept_one(f->store, "scan", "p", BUCKET("a"), T0); // as a scan does: due at once
    struct remediation r = get(f->store, 1, &f->arena);
    assert_int_equal(r.due_ms, T0);
    assert_int_equal(r.settled_ms, T0 + 60000);
}

static void test_store__event_behind_the_reading_is_unseen(void **state)
{
    struct fixture *f = *state;
    accept_one(f->store, "e1", "p", BUCKET("a"), T0);
    struct store_claim claim = claim_one(f->store);
    struct store_transition t = move_to(f->store, claim, STATE_READING);
    accept_one(f->store, "e2", "p", BUCKET("a"), T0); // between what was read and its transition
    assert_int_equal(go(f->store, &t), STORE_OK);
    assert_int_equal(get(f->store, 1, &f->arena).sequence_seen, 0);
    must_go(f->store, claim, STATE_COMPLIANT);
    assert_int_equal(get(f->store, 2, &f->arena).state, STATE_RECEIVED);
}

/* reading, deciding, intent, calling: what a repair commits before its first call. */
static void way_to_call(struct store *store, struct store_claim claim, struct store_transition *ret)
{
    static const enum state way[] = {STATE_READING, STATE_DECIDING, STATE_INTENT, STATE_CALLING};
    for (int i = 0; i < 4; i++) {
        ret[i] = move_to(store, claim, way[i]);
        ret[i].version += i;
    }
    ret[2].lock = ret[2].sequence_unchanged = true;
    ret[3].step = 1;
    ret[3].detail = STR("{\"plan\":[1]}");
}

static void test_store__several_transitions_are_one(void **state)
{
    struct fixture *f = *state;
    struct store_transition way[4];
    size_t applied;
    accept_one(f->store, "e1", "p", BUCKET("a"), T0);
    struct store_claim claim = claim_one(f->store);
    int64_t before = log_size(f->store);
    way_to_call(f->store, claim, way);
    assert_int_equal(store_advance_all(f->store, way, 4, true, &applied, &f->err), STORE_OK);
    assert_int_equal(applied, 4);
    struct remediation r = get(f->store, 1, &f->arena);
    assert_int_equal(r.state, STATE_CALLING);
    assert_int_equal(r.step, 1);
    assert_int_equal(r.version, 5);
    assert_non_null(value_get(r.detail, STR("plan")));
    assert_int_equal(log_size(f->store), before + 4);
    assert_true(store_owns(f->store, claim.id, claim.epoch));
    must_go(f->store, claim, STATE_HEALED);
    int64_t counts[STATE_COUNT];
    assert_int_equal(store_counts(f->store, counts, &f->err), STORE_OK);
    for (int i = 0; i < STATE_COUNT; i++)
        assert_int_equal(counts[i], i == STATE_HEALED);
}

static void test_store__several_transitions_stop_at_the_first_refused(void **state)
{
    struct fixture *f = *state;
    struct store_transition way[4];
    size_t applied;
    accept_one(f->store, "e1", "p", BUCKET("a"), T0);
    struct store_claim claim = claim_one(f->store);
    way_to_call(f->store, claim, way);
    accept_one(f->store, "e2", "p", BUCKET("a"), T0);
    int64_t before = log_size(f->store);
    assert_int_equal(store_advance_all(f->store, way, 4, true, &applied, &f->err), STORE_CONFLICT);
    assert_int_equal(applied, 2);
    struct remediation r = get(f->store, 1, &f->arena);
    assert_int_equal(r.state, STATE_DECIDING);
    assert_int_equal(r.version, 3);
    assert_null(value_get(r.detail, STR("plan")));
    assert_int_equal(log_size(f->store), before + 2);
    way[2].version = way[3].version = 99;
    assert_int_equal(store_advance_all(f->store, way + 2, 1, true, &applied, &f->err),
                     STORE_CONFLICT);
    assert_int_equal(applied, 0);
}

static void test_store__kept_lease_is_renewed_released_one_is_gone(void **state)
{
    struct fixture *f = *state;
    accept_one(f->store, "e1", "p", BUCKET("a"), T0);
    struct store_claim claim = claim_one(f->store);
    f->time.now += LEASE_MS - 1;
    must_go(f->store, claim, STATE_READING);
    f->time.now += LEASE_MS - 1;
    assert_true(store_owns(f->store, claim.id, claim.epoch));
    struct store_transition t = move_to(f->store, claim, STATE_UNREAD);
    t.keep_lease = false;
    t.due_ms = f->time.now;
    assert_int_equal(go(f->store, &t), STORE_OK);
    assert_false(store_owns(f->store, claim.id, claim.epoch));
    assert_int_equal(claim_one(f->store).epoch, claim.epoch + 1);
}

static void test_store__person_takes_the_row_from_its_worker(void **state)
{
    struct fixture *f = *state;
    accept_one(f->store, "e1", "p", BUCKET("a"), T0);
    struct store_claim claim = claim_one(f->store);
    struct store_transition t = move_to(f->store, claim, STATE_SKIPPED);
    t.epoch = 0;
    assert_int_equal(go(f->store, &t), STORE_OK);
    assert_false(store_owns(f->store, claim.id, claim.epoch));
    t = move_to(f->store, claim, STATE_READING);
    assert_int_equal(go(f->store, &t), STORE_CONFLICT);
}

static void test_store__unawaited_failure_shows_later(void **state)
{
    struct fixture *f = *state;
    accept_one(f->store, "e1", "p", BUCKET("a"), T0);
    struct store_claim claim = claim_one(f->store);
    struct store_transition t = move_to(f->store, claim, STATE_READING);
    assert_int_equal(store_advance(f->store, &t, false, &f->err), STORE_OK);
    assert_int_equal(get(f->store, 1, &f->arena).state, STATE_READING);
    enum store_result unawaited =
        store_advance(f->store, &t, false, &f->err); // its version is over
    assert_true(unawaited == STORE_OK || unawaited == STORE_CONFLICT);
    t.to = STATE_DECIDING;
    assert_int_equal(go(f->store, &t), STORE_CONFLICT);
    assert_int_equal(store_flush(f->store, &f->err), STORE_OK);
    assert_int_equal(get(f->store, 1, &f->arena).version, 2);
}

static void test_store__lists_newest_first_by_filter_and_page(void **state)
{
    struct fixture *f = *state;
    struct remediation *rows;
    size_t count;
    for (int i = 0; i < 30; i++) {
        char key[32], resource[128];
        snprintf(key, sizeof key, "e%d", i);
        snprintf(resource, sizeof resource, "aws/%s/eu-west-1/AWS::S3::Bucket/b%d",
                 i % 3 ? "123456789012" : "999999999999", i);
        accept_one(f->store, key, i % 2 ? "p" : "q", resource, T0);
    }
    struct store_claim claim = claim_one(f->store);
    must_go(f->store, claim, STATE_GONE);
    struct store_filter filter = {.state = -1, .limit = 10};
    assert_int_equal(store_list(f->store, &filter, &f->arena, &rows, &count, &f->err), STORE_OK);
    assert_int_equal(count, 10);
    assert_int_equal(rows[0].id, 30);
    filter.before_id = rows[9].id;
    filter.limit = 1000000;
    assert_int_equal(store_list(f->store, &filter, &f->arena, &rows, &count, &f->err), STORE_OK);
    assert_int_equal(count, 20);
    assert_int_equal(rows[0].id, 20);
    filter = (struct store_filter){.state = STATE_GONE, .limit = 10};
    assert_int_equal(store_list(f->store, &filter, &f->arena, &rows, &count, &f->err), STORE_OK);
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].due_ms, 0);
    filter = (struct store_filter){.state = -1, .limit = 1000, .active_only = true};
    assert_int_equal(store_list(f->store, &filter, &f->arena, &rows, &count, &f->err), STORE_OK);
    assert_int_equal(count, 29);
    filter.account = STR("999999999999");
    filter.policy = STR("p");
    assert_int_equal(store_list(f->store, &filter, &f->arena, &rows, &count, &f->err), STORE_OK);
    assert_int_equal(count, 5);
    filter = (struct store_filter){.state = -1, .limit = 1000, .resource = STR("*Bucket/b1?")};
    assert_int_equal(store_list(f->store, &filter, &f->arena, &rows, &count, &f->err), STORE_OK);
    assert_int_equal(count, 10);
}

static void test_store__counts_every_state(void **state)
{
    struct fixture *f = *state;
    int64_t counts[STATE_COUNT];
    accept_one(f->store, "e1", "p", BUCKET("a"), T0);
    accept_one(f->store, "e2", "p", BUCKET("b"), T0);
    struct store_claim claim = claim_one(f->store);
    must_go(f->store, claim, STATE_READING);
    must_go(f->store, claim, STATE_HEALED);
    assert_int_equal(store_counts(f->store, counts, &f->err), STORE_OK);
    for (int i = 0; i < STATE_COUNT; i++)
        assert_int_equal(counts[i], i == STATE_RECEIVED || i == STATE_HEALED);
}

static void test_store__refuses_what_is_no_object(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(store_record(f->store, STR("k"), STR("[1]"), &f->err), STORE_ERROR);
    assert_string_equal(f->err.code, "S0006");
    struct store_match match = match_of("", BUCKET("a"), T0);
    struct store_event event = {STR("e1"), STR("n"), &match, 1};
    assert_int_equal(store_accept(f->store, &event, 1, NULL, &f->err), STORE_ERROR);
    assert_true(accept_one(f->store, "e1", "p", BUCKET("a"), T0));
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        EACH(test_store__event_becomes_a_remediation),
        EACH(test_store__same_key_vanishes),
        EACH(test_store__keys_are_forgotten_after_two_weeks),
        EACH(test_store__newer_event_joins_the_active_one),
        EACH(test_store__many_matches_in_one_event),
        EACH(test_store__event_of_our_own_call_starts_nothing),
        EACH(test_store__our_request_id_on_another_resource_is_an_event),
        EACH(test_store__create_refuses_a_second_active_one),
        EACH(test_store__claims_what_is_due_earliest_first),
        EACH(test_store__lease_over_is_claimed_again_with_a_new_epoch),
        EACH(test_store__leases_end_but_for_those_that_are_held),
        EACH(test_store__transition_is_conditional_and_recorded),
        EACH(test_store__every_leaf_is_canonical_json),
        EACH(test_store__long_body_is_cut_to_its_hash),
        EACH(test_store__terminal_has_no_way_out),
        EACH(test_store__unseen_event_starts_a_successor),
        EACH(test_store__event_before_the_reading_needs_no_successor),
        EACH(test_store__an_event_never_shortens_what_has_to_settle),
        EACH(test_store__event_behind_the_reading_is_unseen),
        EACH(test_store__several_transitions_are_one),
        EACH(test_store__several_transitions_stop_at_the_first_refused),
        EACH(test_store__kept_lease_is_renewed_released_one_is_gone),
        EACH(test_store__person_takes_the_row_from_its_worker),
        EACH(test_store__unawaited_failure_shows_later),
        EACH(test_store__lists_newest_first_by_filter_and_page),
        EACH(test_store__counts_every_state),
        EACH(test_store__refuses_what_is_no_object),
    };
    int unable = backend_prepare();
    return unable ? unable : cmocka_run_group_tests(tests, NULL, NULL);
}
