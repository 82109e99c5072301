#include "router/rewrite.h"
#include "tests/unit/test.h"

#include <string.h>

static struct http1 *parse(enum http1_kind kind, const char *text, bool head_request)
{
	struct http1 *p = http1_new(kind, 65536);
	const char *data;
	size_t used, n;

	http1_response_to(p, head_request);
	assert_int_equal(http1_feed(p, text, strlen(text), &used, &data, &n), HTTP1_HEAD);
	return p;
}

static char *request(const char *text)
{
	static const char id[] = "0123456789-0123456789";
	AUTO(http1_free) struct http1 *p = parse(HTTP1_REQUEST, text, false);
	const struct http1_head *h = http1_head(p);
	struct buf out = {0};

	rt_write_request(&out, h,
			 &(struct rt_req_ctx){.peer = "10.0.0.9",
					      .proto = "http",
					      .port = 8080,
					      .start_ms = 1234567890123,
					      .request_id = {id, sizeof id - 1},
					      .upgrade = rt_may_upgrade(h)});
	return buf_steal(&out);
}

static char *response(const char *text, struct rt_resp_ctx ctx, bool head_request)
{
	AUTO(http1_free) struct http1 *p = parse(HTTP1_RESPONSE, text, head_request);
	struct buf out = {0};

	rt_write_response(&out, http1_head(p), &ctx);
	return buf_steal(&out);
}

#define MARKS                                                   \
	"X-Forwarded-Proto: http\r\nX-Forwarded-Port: 8080\r\n" \
	"X-Request-Id: 0123456789-0123456789\r\nX-Request-Start: 1234567890123\r\n"

static void request_is_marked_and_cleaned(void **state)
{
	AUTO(auto_str)
	char *got = request(
		"POST /a%2f/../b?q=1 HTTP/1.1\r\nhost: Web.Example.com:8080\r\n"
		"Connection: X-Drop, keep-alive, content-length, authorization\r\n"
		"X-Drop: 1\r\nX-Keep: 2\r\nAuthorization: Basic x\r\nKeep-Alive: timeout=1\r\n"
		"TE: trailers\r\nTrailer: x\r\nProxy: http://evil\r\n"
		"X_Forwarded_For: 6.6.6.6\r\nContent_Length: 7\r\nMy_Own: yes\r\n"
		"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\n"
		"X-Forwarded-Proto: https\r\nX-Request-Start: 1\r\nVia: 1.1 cdn\r\n"
		"Cookie: a=b\r\nContent-Length: 3\r\n\r\n");

	assert_string_equal(got,
			    "POST /a%2f/../b?q=1 HTTP/1.1\r\nHost: Web.Example.com:8080\r\n"
			    "X-Keep: 2\r\nAuthorization: Basic x\r\nMy_Own: yes\r\nCookie: a=b\r\n"
			    "Content-Length: 3\r\n"
			    "X-Forwarded-For: 1.2.3.4, 5.6.7.8, 10.0.0.9\r\n" MARKS
			    "Via: 1.1 cdn, 1.1 paas-router\r\n\r\n");
}

static void absolute_form_wins_over_host(void **state)
{
	AUTO(auto_str)
	char *got = request("GET http://b.example.com?x HTTP/1.1\r\nHost: a.example.com\r\n\r\n");

	assert_string_equal(got,
			    "GET /?x HTTP/1.1\r\nHost: b.example.com\r\n"
			    "X-Forwarded-For: 10.0.0.9\r\n" MARKS "Via: 1.1 paas-router\r\n\r\n");
}

static void upgrades_pass_but_h2c(void **state)
{
	AUTO(auto_str)
	char *ws = request("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
			   "Upgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n");
	AUTO(auto_str)
	char *h2 = request("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
			   "Upgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n");
	AUTO(auto_str)
	char *old = request("GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\n"
			    "Upgrade: websocket\r\n\r\n");

	assert_non_null(strstr(ws, "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"));
	assert_non_null(strstr(ws, "\r\nSec-WebSocket-Key: k\r\n"));
	assert_null(strstr(h2, "pgrade"));
	assert_null(strstr(h2, "HTTP2"));
	assert_null(strstr(old, "pgrade"));
	assert_non_null(strstr(old, "Via: 1.0 paas-router\r\n"));
}

static void chunked_requests_are_framed_anew(void **state)
{
	AUTO(auto_str)
	char *got = request("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n");
	const char *te = strstr(got, "Transfer-Encoding: chunked\r\n");

	assert_non_null(te);
	assert_null(strstr(te + 1, "Transfer-Encoding"));
	assert_null(strstr(got, "Content-Length"));
}

static void request_ids_are_judged(void **state)
{
	static const struct {
		const char *id;
		bool ok;
	} cases[] = {
		{"0123456789012345678", false},
		{"01234567890123456789", true},
		{"4307e0d7-481f-4bbe-b6d5-b7bc55a947f5", true},
		{"AZaz09+/=-AZaz09+/=-", true},
		{"0123456789012345678_", false},
		{"0123456789 123456789", false},
		{"0123456789\"123456789", false},
	};
	char longest[202];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(rt_request_id_ok((struct http1_str){
					 cases[i].id, (uint32_t)strlen(cases[i].id)}),
				 cases[i].ok);
	memset(longest, 'a', sizeof longest);
	assert_true(rt_request_id_ok((struct http1_str){longest, 200}));
	assert_false(rt_request_id_ok((struct http1_str){longest, 201}));
}

static void answers_are_cleaned(void **state)
{
	AUTO(auto_str)
	char *got = response("HTTP/1.1 200 Fine\r\nDate: now\r\nServer: x\r\nSet-Cookie: a=1\r\n"
			     "Set-Cookie: b=2\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n"
			     "Upgrade: h2\r\nContent-Length: 5\r\n\r\n",
			     (struct rt_resp_ctx){.minor = 1, .keep_alive = true}, false);

	assert_string_equal(got,
			    "HTTP/1.1 200 Fine\r\nDate: now\r\nServer: x\r\nSet-Cookie: a=1\r\n"
			    "Set-Cookie: b=2\r\nContent-Length: 5\r\nVia: 1.1 paas-router\r\n\r\n");
}

static void connections_are_announced(void **state)
{
	static const char text[] = "HTTP/1.0 200 OK\r\nDate: x\r\nContent-Length: 1\r\n\r\n";
	AUTO(auto_str)
	char *last = response(text, (struct rt_resp_ctx){.minor = 1}, false);
	AUTO(auto_str)
	char *old = response(text, (struct rt_resp_ctx){.minor = 0, .keep_alive = true}, false);

	assert_non_null(strstr(last, "Connection: close\r\n"));
	assert_non_null(strstr(last, "Via: 1.0 paas-router\r\n"));
	assert_memory_equal(last, "HTTP/1.1 ", 9);
	assert_non_null(strstr(old, "Connection: keep-alive\r\n"));
}

static void lengths_where_no_body_is(void **state)
{
	const struct rt_resp_ctx keep = {.minor = 1, .keep_alive = true};
	AUTO(auto_str)
	char *none = response("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", keep, false);
	AUTO(auto_str)
	char *head = response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", keep, true);
	AUTO(auto_str)
	char *same =
		response("HTTP/1.1 304 Not\r\nTransfer-Encoding: chunked\r\n\r\n", keep, false);

	assert_null(strstr(none, "Content-Length"));
	assert_non_null(strstr(none, "\r\nDate: "));
	assert_non_null(strstr(head, "Content-Length: 5\r\n"));
	assert_null(strstr(same, "Transfer-Encoding"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_is_marked_and_cleaned),
		cmocka_unit_test(absolute_form_wins_over_host),
		cmocka_unit_test(upgrades_pass_but_h2c),
		cmocka_unit_test(chunked_requests_are_framed_anew),
		cmocka_unit_test(request_ids_are_judged),
		cmocka_unit_test(answers_are_cleaned),
		cmocka_unit_test(connections_are_announced),
		cmocka_unit_test(lengths_where_no_body_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
