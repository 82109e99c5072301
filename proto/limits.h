/* limits.h - every size and time limit on what comes from outside, in one place.
 * Where Heroku has a number, it is that number (Dev Center: Limits, HTTP Routing, Slug Compiler).
 */
#ifndef PROTO_LIMITS_H
#define PROTO_LIMITS_H

#define KiB(n) ((n)*1024LL)
#define MiB(n) ((n)*1024LL * 1024)

/* names */
#define LIM_APP_NAME  30
#define LIM_PROC_TYPE 128
#define LIM_HOST_NAME 253
/* what an app shows to the world */
#define LIM_PAGE_URL	  2048 /* of its own error page */
#define LIM_VOLUMES	  100  /* of one user */
#define LIM_APP_VOLUMES	  20   /* of one app; the launcher takes 64 binds */
#define LIM_VOLUME_MIN_MB 16
#define LIM_VOLUME_MAX_MB (1024 * 1024)
#define LIM_VOLUME_PATH	  200
#define LIM_DOMAINS	  1000 /* custom ones, of one app */
#define LIM_SNI_ENDPOINTS 100  /* of one app */
#define LIM_PIPELINE_APPS 500  /* of one pipeline */
#define LIM_DIFF_COMMITS  250  /* that are told of, between two apps */
/* HTTP heads (docs/internals/http.md); the API needs 8 KB lines: Request-Id grows while clients
 * poll */
#define LIM_HTTP_METHOD	    32
#define LIM_HTTP_TARGET	    8192
#define LIM_HTTP_FIELD	    8192
#define LIM_HTTP_FIELDS	    128
#define LIM_HTTP_HEAD	    KiB(32)
#define LIM_HTTP_RESP_HEAD  KiB(64)
#define LIM_HTTP_CHUNK_EXT  4096
#define LIM_HTTP_HEAD_MS    10000
#define LIM_HTTP_IDLE_MS    65000
#define LIM_API_BODY	    MiB(1)
#define LIM_API_BODY_MS	    20000 /* all of it */
#define LIM_API_WAITING	    64	  /* requests whose bodies are on their way */
#define LIM_API_WAITING_ONE 16	  /* of one account */
/* answers kept for requests that come again (daemon/api/replay.h) */
#define LIM_REPLAYS	   256
#define LIM_REPLAY_TEXT	   KiB(64)
#define LIM_REPLAY_BYTES   MiB(1)
#define LIM_REPLAY_MS	   120000
#define LIM_REPLAY_WAIT_MS 30000
/* guesses of passwords: so many at once, then one every so often */
#define LIM_LOGIN_PER_ADDRESS 30
#define LIM_LOGIN_PER_ACCOUNT 10
#define LIM_LOGIN_REFILL_MS   30000
#define LIM_LOGIN_WAITING     4 /* passwords being checked or waiting for it */
/* codes of second factors: three of a million are good at any time */
#define LIM_CODE_PER_ACCOUNT 8
#define LIM_CODE_REFILL_MS   (5 * 60 * 1000)
/* logins by a browser: asked for, not yet approved */
#define LIM_BROWSER_LOGINS	  256
#define LIM_BROWSER_LOGINS_ADDR	  10
#define LIM_BROWSER_LOGIN_MS	  (10 * 60 * 1000)
#define LIM_BROWSER_LOGIN_DRIP_MS 20000 /* proxies between do not take it for dead */
#define LIM_BROWSER_SESSION_MS	  (24 * 3600 * 1000LL)
#define LIM_FORM		  KiB(16)
#define LIM_SSH_KEY		  KiB(16)
#define LIM_SSH_KEYS		  100 /* of an account */
/* router (Dev Center: HTTP Routing) */
#define LIM_ROUTE_CONNECT_MS 5000
#define LIM_ROUTE_FIRST_MS   30000
#define LIM_ROUTE_BETWEEN_MS 55000
#define LIM_ROUTE_QUEUE_MS   75000
#define LIM_ROUTE_PER_DYNO   200
#define LIM_UPSTREAM_IDLE_MS 4000 /* below node's own 5 s keepAliveTimeout */
/* TLS */
#define LIM_TLS_PEM		KiB(64) /* a chain, or a key */
#define LIM_TLS_CHAIN		10	/* certificates */
#define LIM_TLS_NAMES		1000	/* of one certificate */
#define LIM_TLS_HANDSHAKE_MS	10000	/* from the first octet */
#define LIM_TLS_HANDSHAKES	256	/* at once, of one router worker: the oldest gives way */
#define LIM_TLS_HELLO		KiB(16)
#define LIM_TLS_HANDSHAKE_BYTES KiB(32) /* from the client, until it is done */
#define LIM_TLS_BACKLOG		MiB(1)	/* not taken by a client that goes on sending */
#define LIM_TLS_CACHE		1000	/* certificates that the router keeps */
#define LIM_TLS_ASK_MS		2000	/* the router's wait for paasd's answer about a name */
#define LIM_TLS_AGE_MS		(60 * 60 * 1000) /* then it asks again, and goes on meanwhile */
#define LIM_TLS_NONE_MS		60000 /* no certificate for a name: asked again after this */
#define LIM_TLS_TICKET_MS	(8 * 60 * 60 * 1000) /* a key of session tickets is the newest */
#define LIM_RENDEZVOUS_OPEN_MS	150		     /* from its greeting to the first output */
#define LIM_RENDEZVOUS_CLOSE_MS 500 /* for the end of the input, when the command ended before */
#define LIM_RENDEZVOUS_EOT_MS	200 /* a last 0x04, then nothing for so long: the input ends */
#define LIM_RENDEZVOUS_LINE	1024
/* git */
#define LIM_GIT_COMMANDS     2000
#define LIM_GIT_REF_NAME     1024
#define LIM_GIT_PACK	     MiB(1024)
#define LIM_GIT_PUSHES	     4
#define LIM_GIT_REQUESTS     64 /* at once, all kinds */
#define LIM_GIT_SHALLOW	     10000
#define LIM_GIT_OBJECTS	     2000000  /* of one pack */
#define LIM_GIT_INDEX_AS     MiB(512) /* address space of index-pack and rev-list */
#define LIM_GIT_INDEX_CPU_S  300
#define LIM_GIT_INDEX_MS     (10 * 60 * 1000) /* from the pack's last byte */
#define LIM_GIT_UPLOAD_MS    (60 * 60 * 1000) /* the pack's way here */
#define LIM_GIT_KEEPALIVE_MS 5000
#define LIM_GIT_FETCHES	     8
#define LIM_GIT_FETCH_BODY   MiB(10)
#define LIM_GIT_FETCH_AS     MiB(1024)
#define LIM_GIT_FETCH_MS     (60 * 60 * 1000)
#define LIM_GIT_WAIT_MS	     30000  /* for a fetch's turn */
#define LIM_GIT_TREE_ENTRIES 500000 /* of an exported tree, folders counted */
#define LIM_GIT_TREE_DEPTH   128
#define LIM_GIT_BLOB	     MiB(512)
#define LIM_GIT_MODULES_FILE KiB(64)
#define LIM_GIT_GC_MS	     (30 * 60 * 1000)
#define LIM_SUBMODULES	     50
#define LIM_SUBMODULE_DEPTH  5
#define LIM_SUBMODULE_BYTES  MiB(512)
#define LIM_SUBMODULE_MS     (5 * 60 * 1000) /* all of them together */
/* uploads: sources to be built, slugs */
#define LIM_UPLOAD_MS	 (30 * 60 * 1000) /* all of one */
#define LIM_UPLOADS	 8		  /* transfers at once, both ways */
#define LIM_SOURCES	 100		  /* of a user that have not expired */
#define LIM_SOURCE_MS	 (60 * 60 * 1000) /* until the upload, and from it on */
#define LIM_SLUG_WAIT_MS (60 * 60 * 1000) /* for the blob of a slug */
#define LIM_SLUG_GET_MS	 (60 * 60 * 1000) /* its URL is good for, at least */
#define LIM_API_THREADS	 16		  /* requests worked at, at once */
#define LIM_API_STREAMS	 64		  /* outputs followed at once, minutes each */
#define LIM_API_BUILDS	 32		  /* of tarballs, running or waiting */
#define LIM_ANNOTATION	 250		  /* version, description: one line */
/* build (Dev Center: Slug Compiler) */
#define LIM_BUILD_MS	     (15 * 60 * 1000)
#define LIM_SLUG	     MiB(500)
#define LIM_SLUG_TREE	     MiB(2048) /* uncompressed */
#define LIM_BUILD_OUTPUT     MiB(16)   /* kept of a build's output; the middle is cut */
#define LIM_BUILDPACKS	     20
#define LIM_BUILDPACK	     MiB(256) /* one fetched buildpack, unpacked; also of its tarball */
#define LIM_BUILDPACK_README KiB(256)
#define LIM_BUILDPACK_MS     (5 * 60 * 1000)
#define LIM_TAR_ENTRIES	     500000
#define LIM_PROCFILE	     KiB(64)
#define LIM_RELEASE_YAML     KiB(64)
/* releases and dynos */
#define LIM_RELEASE_MS	   (60 * 60 * 1000)
#define LIM_RELEASE_OUTPUT MiB(4)
#define LIM_BOOT_MS	   60000
#define LIM_STOP_MS	   30000
#define LIM_ATTACH_MS	   30000
#define LIM_ONEOFF_IDLE_MS (60 * 60 * 1000)
#define LIM_ONEOFF_TTL_S   86400
#define LIM_DYNOS_PER_TYPE 100
#define LIM_SLEEP_S	   (30 * 86400) /* without a request, until an app sleeps */
#define LIM_JOBS	   100		/* scheduled, of an app; as many of app.json */
#define LIM_JOB_RUNS	   100		/* kept of a job */
#define LIM_CONFIG_BYTES   KiB(64)	/* sum of keys and values */
#define LIM_CONFIG_VARS	   1000
#define LIM_CONFIG_VALUE   KiB(32)
#define LIM_COMMAND	   KiB(32)
/* app.json, app setups */
#define LIM_APPJSON	     KiB(256)
#define LIM_APPJSON_PROBLEMS 50
#define LIM_APPJSON_TEXT     4096 /* one text of it, unless said otherwise */
#define LIM_APPJSON_ITEMS    200  /* of one list or object */
#define LIM_CRON	     100  /* entries */
/* review apps */
#define LIM_REVIEW_WORKERS  4		    /* steps at once: deploys, removals */
#define LIM_REVIEW_RETRY_MS 2000	    /* doubles with each try */
#define LIM_REVIEW_TRIES    12		    /* about an hour */
#define LIM_REVIEW_CI_MS    60000	    /* between looks at checks that nobody tells us of */
#define LIM_REVIEW_NO_CI_MS (5 * 60 * 1000) /* a commit that nothing checks is good after this */
#define LIM_REVIEW_END_MS   60000	    /* for all of a pipeline to go, while a request waits */
#define LIM_REVIEW_OUTPUT   MiB(4)
#define LIM_REVIEW_APPS	    1000		      /* that a pipeline's settings may ask for */
#define LIM_REVIEW_KEEP_MS  (30 * 24 * 3600 * 1000LL) /* rows of those that are gone */
#define LIM_SETUPS	    4			      /* at once */
#define LIM_SETUPS_WAITING  64
#define LIM_SETUP_SAID	    MiB(4) /* kept of what a running one says */
#define LIM_SETUP_KEEP_MS   (30 * 24 * 3600 * 1000LL)
#define LIM_SETUP_ADDON_MS  (20 * 60 * 1000)
#define LIM_POSTDEPLOY_S    3600
#define LIM_POSTDEPLOY_TEXT KiB(256) /* kept of its output: the last */
#define LIM_PREDESTROY_S    600
/* health checks of web dynos */
#define LIM_CHECK_TIMEOUT_S 60
#define LIM_CHECK_ATTEMPTS  100
#define LIM_CHECK_WAIT_S    60
#define LIM_CHECK_HEAD	    KiB(16) /* read of an answer */
/* tunnels to databases */
#define LIM_TUNNELS	      256
#define LIM_TUNNELS_ONE	      32 /* of one account */
#define LIM_TUNNEL_CONNECT_MS 10000
#define LIM_TUNNEL_IDLE_MS    (60 * 60 * 1000)
/* logs (Dev Center: Logging) */
#define LIM_LOG_LINE	   10000
#define LIM_LOG_HISTORY	   1500
#define LIM_LOG_APP_BYTES  MiB(8)
#define LIM_LOG_BEHIND	   MiB(32) /* of an app's log, while a drain has not read it */
#define LIM_LOG_SPOOL	   MiB(1)  /* kept by a shim while paasd is away */
#define LIM_LOG_TAIL_QUEUE 1024
#define LIM_WIRE_FRAME	   MiB(4)
/* dumps, restores and copies of databases */
#define LIM_TRANSFERS_OPEN  8	     /* of one database: running or waiting */
#define LIM_TRANSFER_LOG    200	     /* lines that are kept of one */
#define LIM_TRANSFER_ROWS   100	     /* of an app, of those without a file */
#define LIM_TRANSFER_TRIES  3	     /* begun again after a crash of paasd */
#define LIM_TRANSFER_LIST   MiB(32)  /* table of contents of a dump; digest of a database */
#define LIM_TRANSFER_MEMORY MiB(512) /* of pg_dump, pg_restore or psql in its sandbox */
#define LIM_TRANSFER_PIDS   32
#define LIM_TRANSFER_URL_MS (60 * 60 * 1000) /* a public URL is good for */
#define LIM_SCHEDULES	    10		     /* daily backups of one database */
/* drains and webhooks (Dev Center: Log Drains, App Webhooks) */
#define LIM_OUT_URL	     2048
#define LIM_OUT_CONNECT_MS   10000
#define LIM_OUT_STALL_MS     30000 /* a receiver that takes nothing */
#define LIM_OUT_IDLE_MS	     240000
#define LIM_DRAINS_PER_APP   6
#define LIM_DRAIN_BATCH	     KiB(100) /* of a POST */
#define LIM_DRAIN_LINES	     1000
#define LIM_DRAIN_POST_MS    30000
#define LIM_DRAIN_BACKOFF_MS 120000
#define LIM_HOOKS_PER_APP    30
#define LIM_HOOK_SECRET	     256
#define LIM_HOOK_POST_MS     20000
#define LIM_HOOK_TRIES	     16	  /* of level sync */
#define LIM_HOOK_EVENTS	     1000 /* kept of an app */
#define LIM_HOOK_KEEP_MS     (7 * 24 * 3600 * 1000LL)
/* git providers: GitHub, GitLab, Gitea */
#define LIM_PROVIDER_TEXT     1000   /* bytes kept of a title, a name */
#define LIM_PROVIDER_MS	      20000  /* of one request */
#define LIM_PROVIDER_ANSWER   MiB(8) /* 100 pull requests of GitHub are 2 MB */
#define LIM_PROVIDER_PAGES    20     /* of a list */
#define LIM_PROVIDER_COMMENT  KiB(60)
#define LIM_PROVIDER_KEEP_MS  (7 * 24 * 3600 * 1000LL) /* ids of deliveries, against replay */
#define LIM_PROVIDER_TELL_MS  (24 * 3600 * 1000LL)     /* tries to tell something */
#define LIM_PROVIDER_LOOKS    20 /* tries of a look; the timer looks again anyway */
#define LIM_PROVIDER_FETCH_MS (15 * 60 * 1000)
#define LIM_PROVIDER_MIRROR   MiB(4096) /* a repository, fetched */
#define LIM_DEPLOY_KEY	      KiB(16)
/* add-ons (docs/addons.md) */
#define LIM_ADDON_MANIFEST  KiB(64)
#define LIM_ADDON_TEXT	    500
#define LIM_ADDON_ITEMS	    100
#define LIM_ADDON_ANSWER    MiB(1)
#define LIM_ADDON_STDERR    100 /* lines logged of a call */
#define LIM_ADDON_TRIES	    3	/* of a verb that is faulty */
#define LIM_ADDON_RETRY_MS  (10 * 60 * 1000)
#define LIM_ADDON_FAILED_MS (60 * 60 * 1000) /* for which a failure can be read */
#define LIM_ADDON_WAIT_MS   20000	     /* in an answer to whoever makes one */
#define LIM_ADDONS_PER_APP  50
#define LIM_ATTACHMENTS	    100 /* of an app */
/* partners (Add-on Partner API v3) */
#define LIM_PARTNER_MS	       25000 /* for an answer, all in all */
#define LIM_PARTNER_ANSWER     KiB(256)
#define LIM_PARTNER_GRANT_MS   (5 * 60 * 1000)
#define LIM_PARTNER_ACCESS_S   (8 * 3600)
#define LIM_PARTNER_TOKENS     10 /* of a kind that an add-on has at once */
#define LIM_PARTNER_SSO_LINK_S (5 * 60)

#endif
