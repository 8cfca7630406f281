// SPDX-License-Identifier: Apache-2.0
/* Power lost at any write or sync, and a sync that fails. A VFS between SQLite and the file system
 * keeps what each file held when it was last synced; when the power goes, that is all that is sure
 * to be there: of each sector written since then either content may have reached the disk.
 *
 *   store ──► SQLite ──► this VFS ──► file          as the kernel shows it
 *                            │ at each sync
 *                            └──────► file.synced   what a disk without power still has */
#include "store_help.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#define SECTOR 512
#define ROUNDS 120
#define STEPS 12

struct power_file {
    sqlite3_file base;
    char path[300];
    sqlite3_file *real; // behind this struct
};

static struct {
    sqlite3_vfs *real;
    unsigned countdown;    // writes, syncs and deletions until the power goes; 0: it stays
    unsigned seed;         // which sectors of what was not synced reached the disk
    bool torn;             // some; else none
    const char *image;     // folder of what is left
    bool gone;             // the image has been taken
    size_t told, told_yet; // transitions told to be durable: by then, until now
    int sync_fails;        // so many of the next
} power;

static void read_whole(const char *path, char **ret, size_t *ret_len)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *ret = NULL;
    *ret_len = 0;
    if (fd < 0)
        return;
    assert_int_equal(fstat(fd, &st), 0);
    *ret = malloc((size_t)st.st_size + 1);
    assert_non_null(*ret);
    *ret_len = (size_t)st.st_size;
    assert_int_equal(read(fd, *ret, *ret_len), (ssize_t)*ret_len);
    close(fd);
}

static void write_whole(const char *path, const char *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

/* What is left of one file. */
static void save_file(const char *path, const char *to)
{
    char synced_path[340], *synced, *now;
    size_t synced_len, now_len;
    snprintf(synced_path, sizeof synced_path, "%s.synced", path);
    read_whole(synced_path, &synced, &synced_len);
    read_whole(path, &now, &now_len);
    for (size_t at = 0; power.torn && at < now_len; at += SECTOR) {
        size_t len = now_len - at < SECTOR ? now_len - at : SECTOR;
        if (rand_r(&power.seed) % 2)
            continue;
        if (at + len > synced_len) { // the file had grown
            synced = realloc(synced, at + len);
            assert_non_null(synced);
            memset(synced + synced_len, 0, at + len - synced_len);
            synced_len = at + len;
        }
        memcpy(synced + at, now + at, len);
    }
    if (synced)
        write_whole(to, synced, synced_len);
    free(synced);
    free(now);
}

static void count_down(const char *path)
{
    char from[320], to[320];
    static const char *const names[] = {"s.db", "s.db-wal", "s.db-journal"};
    if (!power.countdown || --power.countdown)
        return;
    int folder = (int)(strrchr(path, '/') - path);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(from, sizeof from, "%.*s/%s", folder, path, names[i]);
        snprintf(to, sizeof to, "%s/%s", power.image, names[i]);
        save_file(from, to);
    }
    power.gone = true;
    power.told = power.told_yet;
}

static struct power_file *file_of(sqlite3_file *file)
{
    return (struct power_file *)file;
}

#define REAL(file) (file_of(file)->real)
#define CALL(file, method, ...) REAL(file)->pMethods->method(REAL(file), ##__VA_ARGS__)

static int power_close(sqlite3_file *file)
{
    return CALL(file, xClose);
}
static int power_read(sqlite3_file *file, void *to, int len, sqlite3_int64 at)
{
    return CALL(file, xRead, to, len, at);
}
static int power_write(sqlite3_file *file, const void *from, int len, sqlite3_int64 at)
{
    count_down(file_of(file)->path);
    return CALL(file, xWrite, from, len, at);
}
static int power_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return CALL(file, xTruncate, size);
}
static int power_sync(sqlite3_file *file, int flags)
{
    char synced[320], *now;
    size_t len;
    count_down(file_of(file)->path);
    if (power.sync_fails) {
        power.sync_fails--;
        return SQLITE_IOERR_FSYNC;
    }
    snprintf(synced, sizeof synced, "%s.synced", file_of(file)->path);
    read_whole(file_of(file)->path, &now, &len);
    write_whole(synced, now, len);
    free(now);
    return CALL(file, xSync, flags);
}
static int power_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    return CALL(file, xFileSize, ret);
}
static int power_lock(sqlite3_file *file, int how)
{
    return CALL(file, xLock, how);
}
static int power_unlock(sqlite3_file *file, int how)
{
    return CALL(file, xUnlock, how);
}
static int power_reserved(sqlite3_file *file, int *ret)
{
    return CALL(file, xCheckReservedLock, ret);
}
static int power_control(sqlite3_file *file, int what, void *arg)
{
    return CALL(file, xFileControl, what, arg);
}
static int power_sector(sqlite3_file *file)
{
    (void)file;
    return SECTOR;
}
/* No promise at all: not even that a byte beside the ones written stays. */
static int power_traits(sqlite3_file *file)
{
    (void)file;
    return 0;
}

static const sqlite3_io_methods methods = {
    .iVersion = 1, // no shared memory: the store's file is owned by one process
    .xClose = power_close,
    .xRead = power_read,
    .xWrite = power_write,
    .xTruncate = power_truncate,
    .xSync = power_sync,
    .xFileSize = power_size,
    .xLock = power_lock,
    .xUnlock = power_unlock,
    .xCheckReservedLock = power_reserved,
    .xFileControl = power_control,
    .xSectorSize = power_sector,
    .xDeviceCharacteristics = power_traits,
};

static int power_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                      int *ret_flags)
{
    struct power_file *own = file_of(file);
    (void)vfs;
    own->real = (sqlite3_file *)(own + 1);
    own->base.pMethods = NULL;
    snprintf(own->path, sizeof own->path, "%s", name ? name : "");
    int code = power.real->xOpen(power.real, name, own->real, flags, ret_flags);
    if (code == SQLITE_OK)
        own->base.pMethods = &methods;
    return code;
}

static int power_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    char synced[320];
    (void)vfs;
    count_down(name);
    snprintf(synced, sizeof synced, "%s.synced", name);
    unlink(synced);
    return power.real->xDelete(power.real, name, sync_folder);
}

/* In front of the real one from here on. */
static void power_install(void)
{
    static sqlite3_vfs vfs;
    power.real = sqlite3_vfs_find(NULL);
    vfs = *power.real;
    vfs.zName = "power";
    vfs.szOsFile = (int)sizeof(struct power_file) + power.real->szOsFile;
    vfs.xOpen = power_open;
    vfs.xDelete = power_delete;
    assert_int_equal(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}

/* ---- tests ---- */

struct fixture {
    struct test_time time;
    char folder[256], image[256], path[300], image_path[300];
    struct arena arena;
};

static void start(struct fixture *f)
{
    *f = (struct fixture){0};
    test_time_init(&f->time);
    test_folder(f->folder, sizeof f->folder);
    test_folder(f->image, sizeof f->image);
    snprintf(f->path, sizeof f->path, "%s/s.db", f->folder);
    snprintf(f->image_path, sizeof f->image_path, "%s/s.db", f->image);
    power.image = f->image;
    power.told = power.told_yet = 0;
    power.gone = false;
}

static void finish(struct fixture *f)
{
    char path[320];
    static const char *const names[] = {"s.db.synced", "s.db-wal.synced", "s.db-journal.synced"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", f->folder, names[i]);
        unlink(path);
        snprintf(path, sizeof path, "%s/%s", f->image, names[i]);
        unlink(path);
    }
    test_folder_remove(f->folder);
    test_folder_remove(f->image);
    arena_finish(&f->arena);
}

/* One row walked for ever between two states: its version counts what was told. */
static void walk(struct fixture *f, struct store *store, struct store_claim claim)
{
    struct error err;
    power.told_yet = (size_t)get(store, claim.id, &f->arena).version;
    for (int i = 0; i < STEPS; i++) {
        struct store_transition t = move_to(store, claim, i % 2 ? STATE_UNREAD : STATE_READING);
        t.keep_lease = true;
        assert_int_equal(store_advance(store, &t, true, &err), STORE_OK);
        power.told_yet++;
    }
}

static void check_image(struct fixture *f, size_t told)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    struct store *store = open_or_fail(f->image_path, &f->time.clock); // checks the log as well
    if (told)
        assert_true((size_t)get(store, 1, &f->arena).version >= told);
    store_close(store);
    assert_int_equal(sqlite3_open_v2(f->image_path, &db, SQLITE_OPEN_READWRITE, power.real->zName),
                     SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "ok");
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}

static void test_power__case_4_what_was_told_is_there_when_the_power_comes_back(void **state)
{
    (void)state;
    unsigned seed = 20, taken = 0, with_told = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct fixture f;
        start(&f);
        power.countdown = 1 + (unsigned)rand_r(&seed) % 500;
        power.torn = round % 2;
        power.seed = seed;
        struct store *store = open_or_fail(f.path, &f.time.clock);
        accept_one(store, "e1", "p", BUCKET("a"), T0);
        walk(&f, store, claim_one(store));
        store_close(store);
        power.countdown = 0;
        if (power.gone)
            check_image(&f, power.told);
        taken += power.gone;
        with_told += power.gone && power.told;
        finish(&f);
    }
    assert_true(taken > ROUNDS / 2 && with_told > ROUNDS / 4); // the test did test something
}

static void test_power__case_8_a_failed_sync_is_no_success(void **state)
{
    (void)state;
    struct fixture f;
    struct error err;
    start(&f);
    struct store *store = open_or_fail(f.path, &f.time.clock);
    accept_one(store, "e1", "p", BUCKET("a"), T0);
    struct store_claim claim = claim_one(store);
    struct store_transition t = move_to(store, claim, STATE_READING);
    power.sync_fails = 1;
    assert_int_equal(store_advance(store, &t, true, &err), STORE_ERROR);
    assert_string_equal(err.code, "S0004");
    assert_int_equal(get(store, 1, &f.arena).state, STATE_RECEIVED); // nor is it half done
    size_t count;
    int64_t next;
    err = (struct error){0};
    assert_int_equal(store_claim(store, 1, LEASE_MS, GRACE_MS, &claim, &count, &next, &err),
                     STORE_ERROR); // the lease went with it
    assert_string_equal(err.code, "S0004");
    walk(&f, store, claim_one(store));
    power.torn = false;
    power.countdown = 1;
    accept_one(store, "e2", "p", BUCKET("b"), T0); // the power goes at its first write
    store_close(store);
    assert_true(power.gone);
    check_image(&f, power.told);
    finish(&f);
}

int main(void)
{
    power_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power__case_4_what_was_told_is_there_when_the_power_comes_back),
        cmocka_unit_test(test_power__case_8_a_failed_sync_is_no_success),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
