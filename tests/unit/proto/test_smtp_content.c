/* The SMTP engine, what a message's content may be: DATA and its end, smuggling, limits, BDAT, refusals. */
#include "tests/support/smtp_cases.h"

static void test_data(void **state)
{
    static const struct script cases[] = {
        CASE(OPEN "x\r\n.\r\nQUIT\r\n", OPEN_OK "END 3 {x\r\n}\n250 2.0.0 Accepted\r\n" CLOSED_OK),
        CASE(OPEN ".\r\nQUIT\r\n", OPEN_OK "END 0 {}\n250 2.0.0 Accepted\r\n" CLOSED_OK),
        CASE(OPEN "..\r\n..x\r\n.y\r\n...\r\n.\r\n", OPEN_OK "END 14 {.\r\n.x\r\ny\r\n..\r\n}\n250 2.0.0 Accepted\r\n"),
        CASE(OPEN "a.\r\n.\r\n", OPEN_OK "END 4 {a.\r\n}\n250 2.0.0 Accepted\r\n"),
        CASE(OPEN "\r\n\r\n.\r\nDATA\r\n", OPEN_OK "END 4 {\r\n\r\n}\n250 2.0.0 Accepted\r\n" NO_MAIL),
        CASE(OPEN "\xff\x80\r\n.\r\n" TO_B, OPEN_OK "END 4 {\xff\x80\r\n}\n250 2.0.0 Accepted\r\n" TO_B_OK),
        /* What comes behind a refused DATA is commands: it was never content. */
        CASE(HELLO "MAIL FROM:<a@x>\r\nDATA\r\nSubject: x\r\n.\r\nNOOP\r\n",
             HELLO_OK "MAIL a@x 0\n250 2.1.0 OK\r\n554 5.5.1 No valid recipients\r\n"
                      "500 5.5.2 Command not recognized\r\n500 5.5.2 Command not recognized\r\n250 2.0.0 OK\r\n"),
    };
    CHECK_ALL(cases);
}

/* A message that one server ends where another does not is a message smuggled. Only CRLF.CRLF ends; all else is
 * refused, and what follows the false end is never a command. */
static void test_smuggling(void **state)
{
#define SMUGGLED "MAIL FROM:<evil@x>\r\nRCPT TO:<v@y>\r\nDATA\r\n"
    static const struct script cases[] = {
        CASE(OPEN "x\n.\n" SMUGGLED "\r\n.\r\nNOOP\r\n", OPEN_OK BARE "250 2.0.0 OK\r\n"),
        CASE(OPEN "x\r.\r" SMUGGLED "\r\n.\r\nNOOP\r\n", OPEN_OK BARE "250 2.0.0 OK\r\n"),
        CASE(OPEN "x\r\n.\n" SMUGGLED "\r\n.\r\nNOOP\r\n", OPEN_OK BARE "250 2.0.0 OK\r\n"),
        CASE(OPEN "x\n.\r\n" SMUGGLED "\r\n.\r\nNOOP\r\n", OPEN_OK BARE "250 2.0.0 OK\r\n"),
        CASE(OPEN "x\r\n.\r" SMUGGLED "\r\n.\r\nNOOP\r\n", OPEN_OK BARE "250 2.0.0 OK\r\n"),
        CASE(OPEN "x\r.\r\n" SMUGGLED "\r\n.\r\nNOOP\r\n", OPEN_OK BARE "250 2.0.0 OK\r\n"),
        CASE(OPEN "x\r\n.\r\r\n" SMUGGLED "\r\n.\r\nNOOP\r\n", OPEN_OK BARE "250 2.0.0 OK\r\n"),
        CASE(OPEN "x\r\r\n.\r\nNOOP\r\n", OPEN_OK BARE "250 2.0.0 OK\r\n"),
        CASE(OPEN "x\r\n\r.\r\n" SMUGGLED "\r\n.\r\nNOOP\r\n", OPEN_OK BARE "250 2.0.0 OK\r\n"),
        CASE(OPEN "\n.\r\n" SMUGGLED "\r\n.\r\nNOOP\r\n", OPEN_OK BARE "250 2.0.0 OK\r\n"),
        CASE(OPEN "x\r\n.\n\r\n.\r\nNOOP\r\n", OPEN_OK BARE "250 2.0.0 OK\r\n"),
        /* NULs take part in nothing. */
        CASE(OPEN "\r\n\0.\r\n.\r\nNOOP\r\n", OPEN_OK "END 6 {\r\n\0.\r\n}"),
        CASE(OPEN "\r\0\n.\r\nNOOP\r\n\r\n.\r\nNOOP\r\n", OPEN_OK BARE "250 2.0.0 OK\r\n"),
        CASE(OPEN "\r\n.\0\r\n.\r\nNOOP\r\n", OPEN_OK "END 5 {\r\n\0\r\n}"),
        CASE(OPEN "\r\n.\r\0\n\r\n.\r\nNOOP\r\n", OPEN_OK BARE "250 2.0.0 OK\r\n"),
    };
    CHECK_ALL(cases);
    /* Two with a NUL in the log compare only up to it; here is the rest. */
    struct harness h;
    harness_init(&h, &harness_params);
    harness_run(&h, cases[11].text, cases[11].len, 0);
    assert_memory_equal(h.content.data, "\r\n\0.\r\n", 6);
    harness_free(&h);
}

static void fill(char *out, size_t cap, const char *head, size_t lines, size_t octets, const char *tail)
{
    size_t n = strlen(head);

    strcpy(out, head);
    for (size_t i = 0; i < lines; i++) {
        memset(out + n, 'x', octets);
        n += octets;
        memcpy(out + n, "\r\n", 2);
        n += 2;
    }
    strcpy(out + n, tail);
    assert_true(n + strlen(tail) < cap);
}

static void test_limits(void **state)
{
    static const struct {
        size_t lines, octets;
        const char *want;
    } cases[] = {
        {1, 100, "END 102 {"},  {1, 101, LONG "250 2.0.0"}, {1, 5000, LONG "250 2.0.0"}, {10, 98, "END 1000 {"},
        {100, 8, "END 1000 {"}, {10, 99, BIG "250 2.0.0"},  {1000, 3, BIG "250 2.0.0"},
    };
    char text[8192];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t cut = 0; cut < 1500; cut++) {
            struct harness h;
            fill(text, sizeof(text), OPEN, cases[i].lines, cases[i].octets, ".\r\nNOOP\r\n");
            harness_init(&h, &harness_params);
            harness_run(&h, text, strlen(text), cut);
            assert_memory_equal(h.log.data, OPEN_OK, strlen(OPEN_OK));
            assert_memory_equal(h.log.data + strlen(OPEN_OK), cases[i].want, strlen(cases[i].want));
            harness_free(&h);
        }
    }
}

static void test_bdat(void **state)
{
#define CHUNK_OK "250 2.0.0 Chunk received\r\n"
    static const struct script cases[] = {
        CASE(HELLO TO_B "BDAT 3 LAST\r\nx\r\nNOOP\r\n",
             HELLO_OK TO_B_OK "BEGIN\nEND 3 {x\r\n}\n250 2.0.0 Accepted\r\n250 2.0.0 OK\r\n"),
        CASE(HELLO TO_B "BDAT 2\r\nx\rBDAT 4\r\n\n.\r\nBDAT 0 LAST\r\n",
             HELLO_OK TO_B_OK "BEGIN\n" CHUNK_OK CHUNK_OK "END 6 {x\r\n.\r\n}\n250 2.0.0 Accepted\r\n"),
        CASE(HELLO TO_B "BDAT 0\r\nBDAT 0 last\r\n",
             HELLO_OK TO_B_OK "BEGIN\n" CHUNK_OK "END 0 {}\n250 2.0.0 Accepted\r\n"),
        CASE(HELLO TO_B "BDAT 5 LAST\r\n.\r\n..", HELLO_OK TO_B_OK "BEGIN\nEND 5 {.\r\n..}\n250 2.0.0 Accepted\r\n"),
        /* No recipient, no transaction: the octets are still content, never commands. */
        CASE("BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", NO_MAIL "250 2.0.0 OK\r\n"),
        CASE(HELLO "MAIL FROM:<a@x>\r\nBDAT 6\r\nQUIT\r\nNOOP\r\n",
             HELLO_OK "MAIL a@x 0\n250 2.1.0 OK\r\n503 5.5.1 No valid recipients\r\nRESET\n250 2.0.0 OK\r\n"),
        /* Sizes that lie. Too small: what is left over is taken for what it is, a bad command. */
        CASE(HELLO TO_B "BDAT 1 LAST\r\nxQUITX\r\n",
             HELLO_OK TO_B_OK "BEGIN\nEND 1 {x}\n250 2.0.0 Accepted\r\n500 5.5.2 Command not recognized\r\n"),
        CASE(HELLO TO_B "BDAT 1001 LAST\r\nx", HELLO_OK TO_B_OK "FAILED 3\n"),
        CASE(HELLO TO_B "BDAT 18446744073709551615\r\n", HELLO_OK TO_B_OK
             "501 5.5.4 Syntax: BDAT size [LAST]\r\n421 4.5.0 Where the chunk ends cannot be known\r\nCLOSE\n"),
        CASE(HELLO TO_B "BDAT x\r\n", HELLO_OK TO_B_OK
             "501 5.5.4 Syntax: BDAT size [LAST]\r\n421 4.5.0 Where the chunk ends cannot be known\r\nCLOSE\n"),
        CASE(HELLO TO_B "BDAT 3 LAST LAST\r\n", HELLO_OK TO_B_OK
             "501 5.5.4 Syntax: BDAT size [LAST]\r\n421 4.5.0 Where the chunk ends cannot be known\r\nCLOSE\n"),
        CASE(HELLO TO_B "BDAT -1\r\n", HELLO_OK TO_B_OK
             "501 5.5.4 Syntax: BDAT size [LAST]\r\n421 4.5.0 Where the chunk ends cannot be known\r\nCLOSE\n"),
        /* Nothing else belongs between the chunks. */
        CASE(HELLO TO_B
             "BDAT 3\r\nx\r\nDATA\r\nRCPT TO:<c@y>\r\nMAIL FROM:<a@x>\r\nNOOP\r\nRSET\r\nBDAT 3 LAST\r\nx\r\n",
             HELLO_OK TO_B_OK
             "BEGIN\n" CHUNK_OK
             "503 5.5.1 BDAT has begun\r\n503 5.5.1 BDAT has begun\r\n503 5.5.1 A transaction is open\r\n"
             "250 2.0.0 OK\r\n250 2.0.0 OK\r\nRESET\n" NO_MAIL),
        CASE(OPEN "x\r\n.\r\nBDAT 3 LAST\r\ny\r\n", OPEN_OK "END 3 {x\r\n}\n250 2.0.0 Accepted\r\n" NO_MAIL),
        /* The line rules hold for chunks as well; the chunks after a refused one are refused with it. */
        CASE(HELLO TO_B "BDAT 2 LAST\r\nx\nNOOP\r\n", HELLO_OK TO_B_OK "BEGIN\n" BARE "250 2.0.0 OK\r\n"),
        CASE(HELLO TO_B "BDAT 2 LAST\r\nx\rNOOP\r\n", HELLO_OK TO_B_OK "BEGIN\n" BARE "250 2.0.0 OK\r\n"),
        CASE(HELLO TO_B "BDAT 2\r\nx\rBDAT 1 LAST\r\nxNOOP\r\n",
             HELLO_OK TO_B_OK "BEGIN\n" CHUNK_OK BARE "250 2.0.0 OK\r\n"),
        CASE(HELLO TO_B "BDAT 2\r\nx\rBDAT 0 LAST\r\nNOOP\r\n",
             HELLO_OK TO_B_OK "BEGIN\n" CHUNK_OK BARE "250 2.0.0 OK\r\n"),
        CASE(HELLO TO_B "BDAT 2\r\n\n\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
             HELLO_OK TO_B_OK "BEGIN\n" BARE NO_MAIL "250 2.0.0 OK\r\n"),
        CASE(HELLO TO_B "BDAT 8\r\nx\r\n.\r\n.", HELLO_OK TO_B_OK "BEGIN\n"),
        /* Dots mean nothing. */
        CASE(HELLO TO_B "BDAT 12 LAST\r\nx\r\n.\r\nQUIT\r\n",
             HELLO_OK TO_B_OK "BEGIN\nEND 12 {x\r\n.\r\nQUIT\r\n}\n250 2.0.0 Accepted\r\n"),
    };
    CHECK_ALL(cases);
}

static void test_bdat_sum(void **state)
{
    struct harness h;
    char text[2000];

    /* 600 + 600 octets: the second chunk is refused before it has come, and swallowed. */
    fill(text, sizeof(text), HELLO TO_B "BDAT 600\r\n", 10, 58, "BDAT 600 LAST\r\n");
    fill(text + strlen(text), sizeof(text) - strlen(text), "", 10, 58, "NOOP\r\n");
    for (size_t cut = 0; cut < strlen(text); cut++) {
        harness_init(&h, &harness_params);
        harness_run(&h, text, strlen(text), cut);
        assert_string_equal((char *)h.log.data, HELLO_OK TO_B_OK "BEGIN\n" CHUNK_OK BIG "250 2.0.0 OK\r\n");
        harness_free(&h);
    }
}

static void test_refused(void **state)
{
    static const char data[] = OPEN "NOOP\r\n", bdat[] = HELLO TO_B "BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
                      end[] = OPEN "x\r\n.\r\n" TO_B;

    for (size_t cut = 0; cut < sizeof(bdat); cut++) {
        struct harness h;
        harness_init(&h, &harness_params);
        h.refuse_begin = 1;
        harness_run(&h, data, sizeof(data) - 1, cut);
        assert_string_equal((char *)h.log.data, HELLO_OK TO_B_OK "BEGIN\n451 4.3.0 later\r\nRESET\n250 2.0.0 OK\r\n");
        harness_free(&h);
        harness_init(&h, &harness_params);
        h.refuse_begin = 1;
        harness_run(&h, bdat, sizeof(bdat) - 1, cut);
        assert_string_equal((char *)h.log.data,
                            HELLO_OK TO_B_OK "BEGIN\n451 4.3.0 later\r\nRESET\n" NO_MAIL "250 2.0.0 OK\r\n");
        harness_free(&h);
        harness_init(&h, &harness_params);
        h.refuse_end = 1;
        harness_run(&h, end, sizeof(end) - 1, cut);
        assert_string_equal((char *)h.log.data, OPEN_OK "END 3 {x\r\n}\n451 4.3.0 later\r\n" TO_B_OK);
        harness_free(&h);
    }
}

/* The caller refuses while content comes (no memory, say): the first word stands, and no SMTP_END follows. */
static void test_fail(void **state)
{
    struct harness h;

    harness_init(&h, &harness_params);
    harness_feed(&h, OPEN "x\r\n", strlen(OPEN "x\r\n"));
    smtp_fail(h.s, 452, "4.3.1", "full");
    smtp_fail(h.s, 552, "5.3.4", "not this");
    harness_run(&h, "y\n\r\n.\r\nNOOP\r\n", 13, 0);
    assert_string_equal((char *)h.log.data, OPEN_OK "452 4.3.1 full\r\nRESET\n250 2.0.0 OK\r\n");
    harness_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data), cmocka_unit_test(test_smuggling), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_bdat), cmocka_unit_test(test_bdat_sum),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
