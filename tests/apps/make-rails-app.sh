#!/bin/sh
# make-rails-app.sh DIR [NAME]
#
# Creates, in DIR, a git repository (branch main, one commit) with a small but
# real Rails 6.1 application: one model with a migration, scaffolded pages, a
# JSON API, seeds, a `sample_data` rake task, a Procfile with a release phase and
# an app.json with a postdeploy script.  Needs no network once these Debian
# packages are installed:
#
#   apt-get install --no-install-recommends \
#       ruby-rails puma bundler ruby-sqlite3 ruby-pg
#
# (`rails`, the metapackage, is not needed; it pulls in Debian's own nodejs.)
# Every gem in Gemfile.lock is one that those packages install, so
# `bundle install --local` works with no registry.
#
# Database: config/database.yml uses sqlite3 files when DATABASE_URL is unset;
# Rails itself prefers DATABASE_URL (postgres://… or sqlite3:/abs/path).
set -eu

dir=${1:?usage: make-rails-app.sh DIR [NAME]}
name=${2:-demo}
for c in ruby rails bundle git; do
    command -v "$c" >/dev/null || { echo "make-rails-app: $c not found (see the head of this script)" >&2; exit 2; }
done
if [ -e "$dir" ] && [ -n "$(ls -A "$dir" 2>/dev/null)" ]; then
    echo "make-rails-app: $dir is not empty" >&2; exit 2
fi
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

# `rails new` names its module after the directory, so make it in a scratch place.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export BUNDLE_SILENCE_ROOT_WARNING=1 BUNDLE_APP_CONFIG="$work/bundle-config" BUNDLE_USER_HOME="$work/bundle-home" HOME="$work"
unset RAILS_ENV RACK_ENV DATABASE_URL PORT || true
cd "$work"
rails new "$name" --quiet --database=sqlite3 --skip-bundle --skip-git \
    --skip-javascript --skip-webpack-install --skip-spring --skip-listen \
    --skip-bootsnap --skip-turbolinks --skip-jbuilder --skip-test --skip-system-test \
    --skip-action-mailbox --skip-action-mailer --skip-action-text \
    --skip-active-storage --skip-action-cable
cd "$name"

# --- Gemfile: the generated `source` line, then only gems that Debian packages.
src=$(grep '^source ' Gemfile)
cat > Gemfile <<GEMFILE
$src

ruby '~> 3.1'

gem 'rails', '~> 6.1.7'
gem 'puma', '~> 5.0'
gem 'pg', '~> 1.1'
gem 'sqlite3', '~> 1.4'
GEMFILE
rm -f .ruby-version
# Debian's own bundler package knows that Debian's gems have no gem directory; the
# newer one inside a security update of ruby3.1 does not ("Could not find x.gem for
# installation").  Use the package's version by name; Gemfile.lock's BUNDLED WITH then
# makes every later `bundle` switch to it by itself.
bv=$(dpkg-query -W -f '${Version}' ruby-bundler 2>/dev/null | sed 's/[-+~].*//')
bundle ${bv:+_${bv}_} install --local --quiet

# --- the model, its migration and pages
rails generate scaffold note title:string body:text stars:integer --no-helper --no-stylesheets --quiet
mv db/migrate/*_create_notes.rb db/migrate/20240101000000_create_notes.rb
cat > app/models/note.rb <<'RB'
class Note < ApplicationRecord
  validates :title, presence: true
end
RB
cat > app/controllers/status_controller.rb <<'RB'
# Tells, as JSON, where this process runs: for the tests of the platform.
class StatusController < ActionController::API
  SHOWN = %w[DYNO PORT SOURCE_VERSION RAILS_ENV RACK_ENV GREETING
             HEROKU_APP_NAME HEROKU_PR_NUMBER HEROKU_RELEASE_VERSION HEROKU_SLUG_COMMIT].freeze

  def up
    render plain: "OK\n"
  end

  def show
    render json: { env: SHOWN.to_h { |k| [k, ENV[k]] },
                   notes: Note.count,
                   schema: ActiveRecord::Migrator.current_version,
                   database: ActiveRecord::Base.connection.adapter_name,
                   pid: Process.pid,
                   ssl: request.ssl?,
                   host: request.host_with_port,
                   remote_ip: request.remote_ip,
                   request_id: request.request_id }
  end

  # GET /slow?s=3 : holds the request open, for shutdown and timeout tests
  def slow
    sleep [[params[:s].to_f, 0].max, 60].min
    render plain: "slept\n"
  end

  def crash
    raise 'crash asked for'
  end

  def quit
    Process.kill('KILL', Process.pid)
  end
end
RB
cat > config/routes.rb <<'RB'
Rails.application.routes.draw do
  resources :notes
  root 'notes#index'
  get '/up', to: 'status#up'
  get '/status', to: 'status#show'
  get '/slow', to: 'status#slow'
  get '/crash', to: 'status#crash'
  post '/quit', to: 'status#quit' if ENV['ALLOW_QUIT'] == '1'
end
RB
# The scaffolded JSON comes from jbuilder, which this app goes without: answer
# `/notes.json` from the controller instead.
# shellcheck disable=SC2016 # Ruby's own variables
ruby -i -pe '
  $_ << "    respond_to do |format|\n      format.html\n      format.json { render json: @notes }\n    end\n" if $_ =~ /@notes = Note\.all/
' app/controllers/notes_controller.rb

cat > db/seeds.rb <<'RB'
# Idempotent: safe to run at every release.
Note.find_or_create_by!(title: 'Welcome') { |n| n.body = 'made by db:seed'; n.stars = 5 }
puts "seeded: #{Note.count} notes"
RB
cat > lib/tasks/sample_data.rake <<'RB'
desc 'Fill the database with sample data for reviewers'
task sample_data: :environment do
  25.times do |i|
    Note.create!(title: "Sample #{i + 1}", body: 'made by sample_data', stars: i % 5)
  end
  puts "sample_data: #{Note.count} notes"
end
RB
cat > lib/tasks/clock.rake <<'RB'
desc 'A worker: logs a tick every second'
task clock: :environment do
  $stdout.sync = true
  trap('TERM') { puts 'clock: TERM'; exit 0 }
  (1..).each { |i| puts "clock: tick #{i}"; sleep 1 }
end
RB

# --- what the walkthrough adds
cat > Procfile <<'PF'
web: bundle exec puma -p $PORT -C ./config/puma.rb
worker: bundle exec rails clock
release: bundle exec rails db:migrate
PF
cat > app.json <<JSON
{
  "name": "Minimal Rails",
  "description": "Rails 6.1 with a release phase and sample data",
  "env": {
    "SECRET_KEY_BASE": { "description": "signs the cookies", "generator": "secret" },
    "GREETING": { "value": "hello from app.json" }
  },
  "scripts": {
    "postdeploy": "bundle exec rails db:seed sample_data"
  },
  "formation": {
    "web": { "quantity": 1 }
  },
  "addons": ["heroku-postgresql"],
  "environments": {
    "test": { "scripts": { "test": "bundle exec rails runner 'puts Note.count'" } }
  }
}
JSON
cat > .gitignore <<'GI'
/.bundle
/db/*.sqlite3*
/log/*
/tmp/*
!/log/.keep
!/tmp/.keep
!/tmp/pids/
/tmp/pids/*
!/tmp/pids/.keep
/public/assets
/config/master.key
GI
rm -f config/master.key config/credentials.yml.enc

# --- prove that it loads before handing it over
RAILS_ENV=production SECRET_KEY_BASE=x bundle exec rails runner 'Note' >/dev/null
rm -rf log/* tmp/cache tmp/development_secret.txt db/*.sqlite3
: > log/.keep; mkdir -p tmp/pids; : > tmp/pids/.keep


cp -R . "$dir/"
cd "$dir"
git init --quiet
git symbolic-ref HEAD refs/heads/main
git add -A
GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z' \
    git -c user.name=Example -c user.email=dev@example.com -c commit.gpgsign=false \
    commit --quiet -m 'A small Rails application'
echo "$dir: $(git ls-files | wc -l | tr -d ' ') files, $(git rev-parse --short HEAD)"
