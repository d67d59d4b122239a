#include "tests/support/request_samples.h"

#include <string.h>

#include "store/approve.h"
#include "store/schema.h"

static const uint8_t FPR[32] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
static const struct vault_seen_row SEEN[] = {{16, {1, [15] = 2}}, {BLOB_PART_MAX - 1, {3}}};
static const struct uid_range RANGES[] = {{7, 9}, {1, UINT32_MAX}, {0, 0}};

static struct pgp_verdict verdict(void)
{
    struct pgp_verdict v = {.primary_fpr_len = 20,
                            .primary_algo = 22,
                            .created = 1,
                            .expires = 2,
                            .enc_fpr_len = 32,
                            .enc_algo = 18,
                            .enc_octets = 0x1234,
                            .enc_expires = 3,
                            .native = true,
                            .prefs = {.seipd_v2 = true}};
    memset(v.primary_fpr, 4, 20);
    memset(v.enc_fpr, 5, 32);
    return v;
}

static struct vault_deliver letter(void)
{
    return (struct vault_deliver){.kind = MESSAGE_SERVER_SEALED,
                                  .policy = 2,
                                  .internaldate = 1700000000,
                                  .delivery = {1},
                                  .thread = {2},
                                  .own_id = {[15] = 3},
                                  .expiry_hour = 4,
                                  .flags = FLAG_SEEN | FLAG_DRAFT,
                                  .keywords = {2, {slice_str("$Forwarded"), slice_str("")}},
                                  .contact = {5, [CONTACT_WHO - 1] = 6},
                                  .nfeatures = 2,
                                  .features = {UINT64_MAX, 7}};
}

static void sample_more(struct vault_request *q)
{
    if (q->type == VAULT_REPLACE)
        q->deliver.replaced.mailbox = 30, q->deliver.replaced.uid = 31;
    if (approve_wanted(q->type)) {
        q->account = 16;
        if (q->type != VAULT_ADDRESS_ADD) {
            q->approval.keys_version = 33;
            memset(q->approval.keys, 34, sizeof(q->approval.keys));
        }
        if (q->type == VAULT_ADDRESS_ADD || q->type == VAULT_ACCOUNT_ADD)
            memset(q->approval.address, 35, sizeof(q->approval.address));
    }
    if (q->type == VAULT_KEY_ADD || q->type == VAULT_KEY_CURRENT)
        q->key.told = (struct vault_key_told){
            .how = VAULT_TOLD, .policy = 36, .date = 1700000001, .thread = {37}, .own_id = {[15] = 38}};
    if (q->type == VAULT_KEY_NOTICE) {
        memset(q->deliver.delivery, 0, sizeof(q->deliver.delivery));
        q->deliver.notice.fpr = slice_of(FPR, 32);
        q->deliver.notice.events = KEY_EVENT_EXPIRING | KEY_EVENT_EXPIRED;
        q->deliver.notice.keys_version = 32;
    }
}

static const uint8_t RECORD[100] = {2, 41}, SEEN_NONCE[QUEUE_SEEN_SIZE] = {42}, WHOM[SENDING_WHOM] = {45};
static const struct vault_queue_row ADDED[] = {{1, 50, RECORD, NULL, WHOM}, {7, 100, RECORD, NULL, WHOM}},
                                    UPDATED[] = {{2, 60, RECORD, SEEN_NONCE, NULL}, {3, 0, RECORD, SEEN_NONCE, NULL}};

#define SET ((struct vault_set){3, RANGES})
#define FORWARDED .forwards = true, .forward_how = FORWARD_OWN_KEYS, .forward = slice_str("other@example.net")
static size_t samples_of_mail(struct vault_request *out)
{
    const struct vault_request all[] = {
        {.type = VAULT_DELIVER, .account = 16, .mailbox = 17, .deliver = letter()},
        {.type = VAULT_STORE_FLAGS,
         .account = 16,
         .mailbox = 17,
         .flags = {.op = VAULT_FLAGS_REMOVE,
                   .flags = FLAG_FLAGGED,
                   .keywords = {1, {slice_str("word")}},
                   .unchangedsince = 99,
                   .set = SET}},
        {.type = VAULT_COPY,
         .account = 16,
         .mailbox = 17,
         .copy = {.to = 18, .move = true, .piece = VAULT_PIECE_LAST, .number = 19, .least = 21, .set = SET}},
        {.type = VAULT_COPY_UNDO, .account = 16, .copy.number = 20},
        {.type = VAULT_EXPUNGE, .account = 16, .mailbox = 17, .expunge = {.only_deleted = true, .set = SET}},
        {.type = VAULT_MAILBOX_CREATE, .account = 16, .box = {.name = slice_str("a/b"), .use = USE_ARCHIVE}},
        {.type = VAULT_MAILBOX_DELETE, .account = 16, .mailbox = 17},
        {.type = VAULT_MAILBOX_RENAME, .account = 16, .mailbox = 17, .box.name = slice_str("c")},
        {.type = VAULT_MAILBOX_SUBSCRIBE, .account = 16, .box = {.name = slice_str("d"), .on = true}},
        {.type = VAULT_REPLACE, .account = 16, .mailbox = 17, .deliver = letter()},
        {.type = VAULT_KEY_NOTICE, .account = 16, .mailbox = 17, .deliver = letter()},
        {.type = VAULT_DELIVERED_SEEN, .seen = {2, SEEN}},
        {.type = VAULT_QUEUE_ADD, .account = PART_QUEUE, .queue_add = {77, 16, 1, 1, slice_of(RECORD, 90), 2, ADDED}},
        {.type = VAULT_QUEUE_UPDATE,
         .account = PART_QUEUE,
         .queue_update = {77, SEEN_NONCE, slice_of(RECORD, 80), 2, UPDATED}},
        {.type = VAULT_COMPLAINT, .account = 16, .complaint = {1, [7] = 2}},
        {.type = VAULT_CORRESPONDENT_PUT,
         .account = 16,
         .correspondent = {CORRESPONDENT_INCOMING, SEEN_NONCE, slice_of(RECORD, 70)}},
        {.type = VAULT_DMARC_REPORT,
         .account = PART_INSTANCE,
         .dmarc = {.domain = slice_str("example.org"),
                   .day = 20000,
                   .proven = true,
                   .reporter = slice_str("example.net"),
                   .id = slice_str("52"),
                   .sums = {UINT32_MAX, 6, 5, 4, 3, 2},
                   .nnetworks = 2,
                   .networks = {{3, {192, 0, 2}, 53}, {6, {0x20, 1, 0xd, 0xb8, 0, 1}, 54}}}},
        {.type = VAULT_SUPPRESS_PUT, .account = PART_QUEUE, .suppress = {{46}, slice_of(RECORD, 70)}},
        {.type = VAULT_SUPPRESS_DEL, .account = PART_QUEUE, .suppress = {.hash = {47}}},
        {.type = VAULT_STS_PUT, .account = PART_QUEUE, .sts = {{48}, slice_of(RECORD, 70), SEEN_NONCE}},
        {.type = VAULT_STS_DEL, .account = PART_QUEUE, .sts = {{49}, {0}, SEEN_NONCE}},
        {.type = VAULT_TALLY_PUT, .account = PART_QUEUE, .tally = {{50}, slice_of(RECORD, 70), SEEN_NONCE}},
        {.type = VAULT_TALLY_DEL, .account = PART_QUEUE, .tally = {{51}, {0}, SEEN_NONCE}},
    };
    memcpy(out, all, sizeof(all));
    return sizeof(all) / sizeof(all[0]);
}

static size_t samples_of_the_administrator(struct vault_request *out)
{
    const struct vault_request all[] = {
        {.type = VAULT_ACCOUNT_ADD,
         .new = {.address = slice_str("alice@example.org"),
                 .policy = 1,
                 .quota = 20,
                 .trial = true,
                 .publish = 1,
                 .autocrypt = 1,
                 .verdict = verdict(),
                 .cert_len = 21}},
        {.type = VAULT_ACCOUNT_REMOVE, .account = 16},
        {.type = VAULT_ACCOUNT_SET,
         .account = 16,
         .new = {.policy = VAULT_POLICY_KEEP,
                 .quota = VAULT_QUOTA_KEEP,
                 .seal_v2 = SEAL_V2_NEVER,
                 .encrypt = ENCRYPT_ALWAYS,
                 .publish = VAULT_PUBLISH_KEEP,
                 .autocrypt = 0,
                 .key_changes = 1,
                 FORWARDED}},
        {.type = VAULT_ADDRESS_ADD, .account = 16, .name = {slice_str("@example.org"), ADDRESS_CATCH_ALL}},
        {.type = VAULT_ADDRESS_REMOVE, .name.text = slice_str("al@example.org")},
        {.type = VAULT_DOMAIN_ADD, .name.text = slice_str("example.org")},
        {.type = VAULT_DOMAIN_REMOVE, .name.text = slice_str("example.org")},
        {.type = VAULT_KEY_ADD, .account = 16, .key = {.verdict = verdict(), .cert_len = PGP_CERT_MAX}},
        {.type = VAULT_KEY_RETIRE, .account = 16, .key.fpr = slice_of(FPR, 20)},
        {.type = VAULT_APP_PASSWORD_ADD,
         .account = 16,
         .session.hash = {56},
         .password = {.hash = {1},
                      .scope = SCOPE_POP3,
                      .stored_key = {2},
                      .server_key = {[31] = 3},
                      .label = slice_str("telephone")}},
        {.type = VAULT_APP_PASSWORD_REVOKE, .account = 16, .session.hash = {57}, .password.number = 22},
        {.type = VAULT_BACKUP},
        {.type = VAULT_STAT},
        {.type = VAULT_RESTORED},
        {.type = VAULT_UPGRADE},
        {.type = VAULT_KEY_REVOKED, .account = 16, .key = {.fpr = slice_of(FPR, 32), .cert_len = 1}},
        {.type = VAULT_KEY_CURRENT, .account = 16, .key.fpr = slice_of(FPR, 32)},
        {.type = VAULT_KEY_ENC_REVOKED, .account = 16, .key.fpr = slice_of(FPR, 20)},
        {.type = VAULT_CORRESPONDENT_DEL,
         .account = 16,
         .correspondent = {.kind = CORRESPONDENT_KEPT, .record = slice_str("bob@example.net")}},
        {.type = VAULT_DKIM_PUT, .account = PART_QUEUE, .dkim = {{43}, slice_of(RECORD, 70)}},
        {.type = VAULT_DKIM_DEL, .account = PART_QUEUE, .dkim = {.hash = {44}}},
        {.type = VAULT_ACCOUNT_HOLD, .account = 16, .hold = true},
        {.type = VAULT_KEY_PUBLISH,
         .account = PART_KEYSERVER,
         .publish = {slice_str("alice@example.org"), slice_of(RECORD, 70), PUBLISH_ADDRESS}},
        {.type = VAULT_UPLOAD_ADD,
         .account = PART_KEYSERVER,
         .publish = {slice_str("alice@example.org"), slice_of(RECORD, 70), 0}},
        {.type = VAULT_UPLOAD_CONFIRM, .account = PART_KEYSERVER, .token = {45}},
    };
    memcpy(out, all, sizeof(all));
    return sizeof(all) / sizeof(all[0]);
}

#define PROVEN .proof = SIGNIN_BY_PHRASE, .secret = {52, [63] = 53}, .serial = 54
static size_t samples_of_signing_in(struct vault_request *out)
{
    const struct vault_request all[] = {
        {.type = VAULT_SIGNIN_SET,
         .account = 16,
         .signin = {PROVEN, .profile = 2, .record = {3, [191] = 4}, .password_key = {5}, .phrase_key = {6},
                    .password_len = 7, .phrase_len = WRAPPED_MAX}},
        {.type = VAULT_WRAPPED_PUT,
         .account = 16,
         .signin = {PROVEN, .kind = WRAPPED_PASSKEY, .id = {8, [15] = 9}, .password_len = 10}},
        {.type = VAULT_SESSION_ADD,
         .account = 16,
         .session = {.hash = {11}, .version = 12, .how = SESSION_HOW_ALL, .until = 13, .label = slice_str("browser")}},
        {.type = VAULT_SESSION_USED, .account = 16, .session.hash = {14}},
        {.type = VAULT_SESSION_DEL, .account = 16, .session = {.which = SESSION_OTHERS, .number = 15}},
        {.type = VAULT_FACTOR_PUT, .account = 16, .session.hash = {16}, .factor.record = slice_of(RECORD, 70)},
        {.type = VAULT_FACTOR_DEL, .account = 16, .session.hash = {17}, .factor.number = 18},
        {.type = VAULT_FACTOR_USED,
         .account = 16,
         .factor = {.number = 19, .kind = FACTOR_RECOVERY, .value = 20, .code = {21}}},
        {.type = VAULT_INVITE_PUT, .account = 16, .invite = {{22}, .until = 23, .uses = 24, .reset = true}},
        {.type = VAULT_INVITE_DEL, .account = 16},
    };
    memcpy(out, all, sizeof(all));
    return sizeof(all) / sizeof(all[0]);
}

size_t request_samples(struct vault_request out[REQUEST_SAMPLES_MAX])
{
    size_t n = samples_of_mail(out);
    n += samples_of_the_administrator(out + n);
    n += samples_of_signing_in(out + n);
    for (size_t i = 0; i < n; i++)
        sample_more(&out[i]);
    return n;
}
