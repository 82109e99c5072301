# request.rb BUILD_DIR: which Ruby the app asks for, read as text (the Gemfile is not run yet).
# Prints three lines: the requirement ("~> 3.1, < 3.4", empty when none), who asks, and whether
# Bundler will insist on it ("yes" for the Gemfile, "no" for .ruby-version).
dir = ARGV.fetch(0)

def version_of(text)
  text.to_s.strip.sub(/\Aruby[- ]/, '')[/\A\d+(\.\d+){0,2}(\.?(preview|rc)\d+)?/]
end

def file_version(path)
  return unless File.file?(path)
  version_of(File.basename(path) == '.tool-versions' ? File.read(path)[/^ruby\s+(\S+)/, 1] : File.read(path))
end

gemfile = File.read(File.join(dir, 'Gemfile'), encoding: 'UTF-8').scrub
line = gemfile[/^\s*ruby[\s(]+([^#\n]+)/, 1]
asked, by, insists = nil, '', 'no'
if line
  named = line[/file:?\s*(?:=>)?\s*["']([^"']+)["']/, 1]
  if named
    asked = file_version(File.join(dir, named))
    by = "#{named}, which the Gemfile names"
  else
    asked = line.sub(/,?\s*:?(engine|patchlevel|engine_version)\b.*/, '').scan(/["']([^"']+)["']/).flatten.join(', ')
    by = 'ruby in the Gemfile'
  end
  if asked.nil? || asked.empty?
    locked = File.read(File.join(dir, 'Gemfile.lock'))[/^RUBY VERSION\n\s+ruby (\S+?)(p\d+)?$/, 1]
    asked, by = locked, 'RUBY VERSION in Gemfile.lock'
  end
  insists = 'yes'
else
  asked = file_version(File.join(dir, '.ruby-version'))
  by = '.ruby-version' if asked
end
puts asked.to_s, by, insists
