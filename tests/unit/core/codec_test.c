#include "daemon/core/codec.h"
#include "proto/names.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

static int group_setup(void **state)
{
	codec_init();
	return 0;
}

static void ids_are_random_uuids(void **state)
{
	char a[37], b[37];

	uuid_new(a);
	uuid_new(b);
	assert_true(name_is_uuid(a) && name_is_uuid(b));
	assert_int_equal(a[14], '4');
	assert_non_null(strchr("89ab", a[19]));
	assert_string_not_equal(a, b);
	random_hex(a, 5);
	assert_int_equal(strlen(a), 5);
	for (int i = 0; i < 1000; i++)
		assert_in_range(random_below(3), 0, 2);
}

static void hashes_and_hex(void **state)
{
	char h[65];

	sha256_hex("abc", 3, h);
	assert_string_equal(h, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	hex_encode("\0\xff", 2, h);
	assert_string_equal(h, "00ff");
	assert_true(ct_equal("abc", "abc", 3));
	assert_false(ct_equal("abc", "abd", 3));
}

static void base64_goes_both_ways(void **state)
{
	AUTO(buf_clear) struct buf b = {0};

	base64_encode("user:pass", 9, &b);
	assert_string_equal(buf_str(&b), "dXNlcjpwYXNz");
	buf_reset(&b);
	assert_int_equal(base64_decode("OnRva2Vu", 8, &b), 0);
	assert_string_equal(buf_str(&b), ":token");
	buf_reset(&b);
	assert_int_equal(base64_decode("YQ==", 4, &b), 0);
	assert_string_equal(buf_str(&b), "a");
	buf_reset(&b);
	assert_int_equal(base64_decode("YQ", 2, &b), 0);
	assert_string_equal(buf_str(&b), "a");
	assert_int_equal(base64_decode("*&^%", 4, &b), -1);
	assert_int_equal(base64_decode("YQ==YQ==", 8, &b), -1);
}

static int decoded(const char *s, bool plus, struct buf *b)
{
	buf_reset(b);
	return percent_decode(s, strlen(s), plus, b);
}

static void percent_encoding(void **state)
{
	AUTO(buf_clear) struct buf b = {0};

	assert_int_equal(decoded("a%20b+c%2Fd", false, &b), 0);
	assert_string_equal(buf_str(&b), "a b+c/d");
	assert_int_equal(decoded("a+b%41", true, &b), 0);
	assert_string_equal(buf_str(&b), "a bA");
	for (const char *const *p = (const char *const[]){"%", "%4", "%zz", "a%2", "%00", NULL}; *p;
	     p++)
		assert_int_equal(decoded(*p, false, &b), -1);
	buf_reset(&b);
	percent_encode("a b/\xc3\xa4~", &b);
	assert_string_equal(buf_str(&b), "a%20b%2F%C3%A4~");
}

static void secrets_open_only_with_their_key(void **state)
{
	AUTO(auto_str) char *path = xasprintf("%s/key", (char *)*state);
	AUTO(auto_str) char *other = xasprintf("%s/other", (char *)*state);
	AUTO(master_key_free) struct master_key *k = NULL, *again = NULL, *wrong = NULL;
	AUTO(buf_clear) struct buf box = {0}, out = {0};
	struct err err = {0};
	struct stat st;

	assert_int_equal(master_key_load(path, &k, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(master_key_load(path, &again, &err), 0);
	assert_int_equal(master_key_load(other, &wrong, &err), 0);
	secret_seal(k, "secret", 6, &box);
	assert_null(memmem(box.data, box.len, "secret", 6));
	assert_int_equal(secret_open(again, box.data, box.len, &out, &err), 0);
	assert_string_equal(buf_str(&out), "secret");
	assert_int_equal(secret_open(wrong, box.data, box.len, &out, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	box.data[box.len - 1] ^= 1;
	assert_int_equal(secret_open(k, box.data, box.len, &out, &err), -1);
	assert_int_equal(secret_open(k, box.data, 10, &out, &err), -1);
	assert_int_equal(chmod(other, 0644), 0);
	master_key_free(STEAL(wrong));
	assert_int_equal(master_key_load(other, &wrong, &err), -1);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_int_equal(truncate(path, 31), 0);
	master_key_free(STEAL(again));
	assert_int_equal(master_key_load(path, &again, &err), -1);
}

static void only_the_key_signs(void **state)
{
	AUTO(auto_str) char *path = xasprintf("%s/signs", (char *)*state);
	AUTO(auto_str) char *other = xasprintf("%s/signs-too", (char *)*state);
	AUTO(master_key_free) struct master_key *k = NULL, *wrong = NULL;
	struct err err = {0};
	char sig[65], more[66];

	assert_int_equal(master_key_load(path, &k, &err), 0);
	assert_int_equal(master_key_load(other, &wrong, &err), 0);
	secret_sign(k, "get source 1", sig);
	assert_int_equal(strlen(sig), 64);
	assert_true(secret_signed(k, "get source 1", sig));
	assert_false(secret_signed(k, "put source 1", sig));
	assert_false(secret_signed(wrong, "get source 1", sig));
	assert_false(secret_signed(k, "get source 1", ""));
	snprintf(more, sizeof more, "%sx", sig);
	assert_false(secret_signed(k, "get source 1", more));
	sig[63] ^= 1;
	assert_false(secret_signed(k, "get source 1", sig));
}

static void files_are_hashed_where_they_lie(void **state)
{
	AUTO(auto_str) char *path = xasprintf("%s/hashed", (char *)*state);
	AUTO(auto_str) char *data = xcalloc(1, 200001);
	AUTO(auto_fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char is[65], want[65];
	struct err err = {0};

	memset(data, 'x', 200001);
	assert_int_equal(write(fd, data, 200001), 200001);
	sha256_hex(data, 200001, want);
	assert_int_equal(sha256_fd(fd, is, &err), 0);
	assert_string_equal(is, want);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 200001);
	assert_int_equal(sha256_fd(-1, is, &err), -1);
}

static void passwords(void **state)
{
	char hash[128];

	password_hash("correct horse", hash);
	assert_memory_equal(hash, "$argon2id$", 10);
	assert_true(password_ok(hash, "correct horse"));
	assert_false(password_ok(hash, "wrong horse"));
	assert_false(password_ok("", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_random_uuids),
		cmocka_unit_test(hashes_and_hex),
		cmocka_unit_test(base64_goes_both_ways),
		cmocka_unit_test(percent_encoding),
		cmocka_unit_test_setup_teardown(secrets_open_only_with_their_key, tmp_setup,
						tmp_teardown),
		cmocka_unit_test_setup_teardown(only_the_key_signs, tmp_setup, tmp_teardown),
		cmocka_unit_test_setup_teardown(files_are_hashed_where_they_lie, tmp_setup,
						tmp_teardown),
		cmocka_unit_test(passwords),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
