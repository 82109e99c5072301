/* The verb `service`: the cluster that all add-ons share, as the platform is to run it. Its
 * settings are made for small hosts: half of the memory at most, little shared memory, no
 * replication but for backups. */
#include "postgres/tenant.h"
#include "daemon/core/codec.h"
#include "proto/buf.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#define PORT 5432

/* --- its certificate: clients of sslmode=require do not check it --- */

static char *bio_text(BIO *b)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);
	char *out = xstrndup(p, (size_t)n);

	BIO_free(b);
	return out;
}

static X509 *sign_self(EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);

	X509_set_version(x, 2);
	ASN1_INTEGER_set_int64(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -86400);
	X509_time_adj_ex(X509_getm_notAfter(x), 20 * 365, 0, NULL);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
				   (const unsigned char *)"paasd postgresql", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, key);
	if (X509_sign(x, key, EVP_sha256()) == 0) {
		X509_free(x);
		return NULL;
	}
	return x;
}

static int new_certificate(json_t *private, struct err *err)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = key ? sign_self(key) : NULL;
	BIO *kb = BIO_new(BIO_s_mem()), *xb = BIO_new(BIO_s_mem());
	AUTO(auto_str) char *key_text = NULL;
	AUTO(auto_str) char *cert_text = NULL;
	bool good = x && PEM_write_bio_PrivateKey(kb, key, NULL, NULL, 0, NULL, NULL) == 1 &&
		    PEM_write_bio_X509(xb, x) == 1;

	key_text = bio_text(kb);
	cert_text = bio_text(xb);
	X509_free(x);
	EVP_PKEY_free(key);
	if (!good)
		return err_set(err, ERR_INTERNAL, "cannot make a certificate");
	json_object_set_new(private, "key", json_string(key_text));
	json_object_set_new(private, "certificate", json_string(cert_text));
	explicit_bzero(key_text, strlen(key_text));
	return 0;
}

/* --- its settings --- */

static long long clamp(long long v, long long lo, long long hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

/* In steps, so that a host which reports a little less another day is the same one. */
static long long host_mb(void)
{
	long long mb = (long long)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) >> 20;

	return clamp((mb + 127) / 256 * 256, 256, 1 << 20);
}

static long long setting_of(const struct request *q, const char *name, long long preset)
{
	const json_t *v = json_object_get(q->settings, name);

	return json_is_integer(v) ? json_integer_value(v) : preset;
}

static char *configuration(long long memory_mb, long long connections)
{
	AUTO(auto_str) char *extensions = extensions_text();

	return xasprintf("# Made by the platform.\n"
			 "unix_socket_directories = ''\n"
			 "max_connections = %lld\n"
			 "superuser_reserved_connections = 5\n"
			 "shared_buffers = %lldMB\n"
			 "effective_cache_size = %lldMB\n"
			 "work_mem = 4MB\n"
			 "maintenance_work_mem = %lldMB\n"
			 "temp_file_limit = 2GB\n"
			 "max_locks_per_transaction = 64\n"
			 "max_worker_processes = 4\n"
			 "max_parallel_workers_per_gather = 1\n"
			 "autovacuum_max_workers = 2\n"
			 "jit = off\n"
			 "wal_level = replica\n" /* the platform's backup takes it */
			 "max_wal_senders = 2\n"
			 "max_replication_slots = 2\n"
			 "max_wal_size = 256MB\n"
			 "checkpoint_timeout = 15min\n"
			 "checkpoint_completion_target = 0.9\n"
			 "recovery_init_sync_method = syncfs\n"
			 "client_connection_check_interval = 10s\n"
			 "ssl = on\n"
			 "ssl_cert_file = 'server.crt'\n"
			 "ssl_key_file = 'server.key'\n"
			 "ssl_min_protocol_version = 'TLSv1.2'\n"
			 "password_encryption = scram-sha-256\n"
			 "idle_in_transaction_session_timeout = 1d\n"
			 "tcp_keepalives_idle = 60\n"
			 "shared_preload_libraries = 'pg_stat_statements,auto_explain'\n"
			 "pg_stat_statements.max = 2000\n"
			 "pg_stat_statements.track_utility = off\n"
			 "logging_collector = off\n"
			 "log_destination = 'stderr'\n"
			 "log_line_prefix = '%%u@%%d '\n"
			 "log_min_error_statement = panic\n"
			 "log_parameter_max_length_on_error = 0\n"
			 "datestyle = 'iso, mdy'\n"
			 "timezone = 'UTC'\n"
			 "log_timezone = 'UTC'\n"
			 "lc_messages = 'C.UTF-8'\n"
			 "auto_explain.sample_rate = 0\n"
			 "# Where Heroku's clients look for what may be made.\n"
			 "extwlist.extensions = '%s'\n",
			 connections, clamp(memory_mb / 8, 16, 1024),
			 clamp(memory_mb / 2, 64, 1 << 20), clamp(memory_mb / 8, 16, 256),
			 extensions);
}

static const char access_rules[] = "# TYPE DATABASE USER ADDRESS METHOD\n"
				   "host all all all scram-sha-256\n"
				   "host replication " PGS_ADMIN " all scram-sha-256\n";

int verb_service(struct request *q, json_t **out, struct err *err)
{
	json_auto_t *private = json_deep_copy(json_object_get(q->service, "private"));
	long long connections = setting_of(q, "max_connections", 300);
	long long memory = setting_of(q, "memory_mb", clamp(host_mb() / 2, 192, 4096));
	AUTO(auto_str) char *conf = configuration(memory, connections);
	char password[PASSWORD_LEN];

	if (q->server.url) /* an outside server: nothing to run */
		return 0;
	if (!json_is_object(private)) {
		json_decref(private);
		private = json_object();
	}
	if (!json_object_get(private, "password")) {
		new_password(password);
		json_object_set_new(private, "password", json_string(password));
	}
	if (!json_object_get(private, "key") && new_certificate(private, err) < 0)
		return -1;
	*out = json_pack("{s{ss s[s] s[] s{ss ss sO sO sO} si sI} sO}", "service", "kind",
			 "postgresql", "argv", "/service/bin/serve", "env", "files",
			 "postgresql.conf", conf, "pg_hba.conf", access_rules, "password",
			 json_object_get(private, "password"), "server.crt",
			 json_object_get(private, "certificate"), "server.key",
			 json_object_get(private, "key"), "port", PORT, "memory_mb",
			 (json_int_t)memory, "private", private);
	return 0;
}
